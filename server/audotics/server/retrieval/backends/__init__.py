"""What searches fixed vectors, and where: FAISS on the CPU, FAISS on GPUs, ONNX Runtime, behind one interface."""
