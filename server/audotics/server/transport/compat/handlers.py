"""Servicers of protocols with messages in a private pool: a descriptor and methods go in, a handler comes out."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError

from audotics.server.transport.decoding import Unreadable


def service_handler(service: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """Call the methods of `servicer` by the names of those of `service`; what it lacks answers UNIMPLEMENTED.

    A unary method takes a message and the context and returns a message. A method that streams both ways takes an
    iterator of encoded messages, since one of them that cannot be read must not end the stream. Unary methods that the
    servicer names in `ENCODED` take and return encoded messages, too.
    """
    encoded = getattr(servicer, "ENCODED", ())
    handlers = {
        method.name: grpc.unary_unary_rpc_method_handler(getattr(servicer, method.name))
        if method.name in encoded
        else _handler(method, getattr(servicer, method.name))
        for method in service.methods
        if hasattr(servicer, method.name)
    }
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def parse(kind: Any, data: bytes) -> Any:
    """A message of class `kind`. Raises InvalidRequestError."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise Unreadable(str(error)).error() from error


def _handler(method: MethodDescriptor, behaviour: Any) -> grpc.RpcMethodHandler:
    answer = message_factory.GetMessageClass(method.output_type)
    if method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(behaviour, response_serializer=answer.SerializeToString)
    question = message_factory.GetMessageClass(method.input_type)
    return grpc.unary_unary_rpc_method_handler(
        behaviour, request_deserializer=question.FromString, response_serializer=answer.SerializeToString
    )
