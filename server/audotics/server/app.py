"""The composition root: settings go in, a running server comes out. Everything is wired here, by hand."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from audotics.bundle.runtime import RuntimeChoice
from audotics.bundle.store import BundleStore
from audotics.server.meters.readers import readers
from audotics.server.options import (
    batch_limits,
    gpu_placement,
    learning_limits,
    pipeline_options,
    probation_limits,
    promotion_limits,
    server_options,
)
from audotics.server.pipeline.group_recommender import GroupRecommender
from audotics.server.pipeline.list_memory import ListMemory
from audotics.server.pipeline.profiles import StrangersCache
from audotics.server.pipeline.recommender import Recommender
from audotics.server.ports import foreign_services, serve_http
from audotics.server.repository.compactor import Compactor
from audotics.server.repository.policy import VersionPolicies
from audotics.server.repository.preparing import VERSIONS_AT_ONCE
from audotics.server.repository.registry import Registry
from audotics.server.repository.watcher import Watcher
from audotics.server.retrieval.opening import IndexOpener
from audotics.server.runtime.opening import RuntimeOpener
from audotics.server.runtime.supervisor import RunSupervisor
from audotics.server.services.artists import ArtistService
from audotics.server.services.assigner import Assigner
from audotics.server.services.catalog import CatalogService
from audotics.server.services.changes import Changes, listener_topic
from audotics.server.services.classify import ClassifyService
from audotics.server.services.clock import SteadyClock
from audotics.server.services.compatibility import CompatibilityService
from audotics.server.services.event_log import EventLog
from audotics.server.services.experiment_report import ReportService
from audotics.server.services.experiment_watch import ExperimentWatch
from audotics.server.services.experiments import ExperimentService
from audotics.server.services.explain import ExplainService
from audotics.server.services.features import FeatureService
from audotics.server.services.feedback import FeedbackService
from audotics.server.services.golden import GOLDEN_FILE
from audotics.server.services.indexes import IndexService
from audotics.server.services.inference import InferenceService
from audotics.server.services.learning import Learning
from audotics.server.services.listeners import Listeners
from audotics.server.services.model_records import ModelRecords
from audotics.server.services.models import ModelService
from audotics.server.services.preferences import PreferenceService
from audotics.server.services.privacy import PrivacyService
from audotics.server.services.probation import Probation
from audotics.server.services.promotion import PromotionGate
from audotics.server.services.rank import RankService
from audotics.server.services.receipt_writer import ReceiptWriter
from audotics.server.services.recommend import RecommendService
from audotics.server.services.recommend_group import RecommendGroupService
from audotics.server.services.retention import Periods, Retention
from audotics.server.services.sessions import SessionService
from audotics.server.services.shadow import Shadow
from audotics.server.services.similar import SimilarService
from audotics.server.services.taste import TasteService
from audotics.server.services.tenancy import Tenancy
from audotics.server.services.tilts import TiltService
from audotics.server.services.uninterrupted import Uninterrupted
from audotics.server.services.watch import WatchService
from audotics.server.settings import Settings
from audotics.server.sharing import LISTENERS, SESSIONS, news_feed, shared_cache
from audotics.server.storage.artists import ArtistStore
from audotics.server.storage.database import Database
from audotics.server.storage.decisions import DecisionStore
from audotics.server.storage.events import EventStore
from audotics.server.storage.experiments import ExperimentStore
from audotics.server.storage.exposures import ExposureStore
from audotics.server.storage.model_records import ModelRecordStore
from audotics.server.storage.receipts import ReceiptStore
from audotics.server.storage.retention import RetentionStore
from audotics.server.storage.sessions import SessionStore
from audotics.server.storage.tilt_updates import TiltUpdateStore
from audotics.server.storage.tracks import TrackStore
from audotics.server.storage.users import UserStore
from audotics.server.telemetry.metrics import Metrics
from audotics.server.telemetry.readiness import Readiness
from audotics.server.telemetry.requests import RequestCounts
from audotics.server.transport.address import check_address, format_address
from audotics.server.transport.remote.servers import RemoteServers
from audotics.server.transport.server import GrpcServer
from audotics.server.transport.servicers.catalog import CatalogServicer
from audotics.server.transport.servicers.experiments import ExperimentServicer
from audotics.server.transport.servicers.feedback import FeedbackServicer
from audotics.server.transport.servicers.groups import GroupServicer
from audotics.server.transport.servicers.learning import LearningServicer
from audotics.server.transport.servicers.models import ModelServicer
from audotics.server.transport.servicers.recommender import RecommenderServicer


@dataclass(frozen=True, slots=True)
class App:
    """A running server: where it listens, and what it serves from. `models` are pairs of a name and a version."""

    host: str
    port: int
    track_count: int
    models: tuple[tuple[str, int], ...]
    refused: tuple[str, ...]
    """Models that are missing or could not be put in service, with the reason."""
    http_port: int | None = None
    """None without HTTP."""

    @property
    def address(self) -> str:
        return format_address(self.host, self.port)

    @property
    def http_address(self) -> str:
        """Empty without HTTP."""
        return "" if self.http_port is None else format_address(self.host, self.http_port)


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """Load the newest models and listen; at the end drain, and close what was opened.

    Raises AddressError, StorageError, or NotReadyError when the repository has no catalogue.
    """
    check_address(settings.host, settings.port)
    async with AsyncExitStack() as stack:

        def threads(name: str, count: int = 1) -> ThreadPoolExecutor:
            return stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix=f"audotics-{name}"))

        metrics, readiness, requests = Metrics(), Readiness(), RequestCounts()
        # Before models are loaded, which takes time: who asks is told that the server is not ready yet.
        http_port = await serve_http(stack, settings, metrics, readiness)
        database = stack.enter_context(closing(Database.open(settings.effective_database_url)))
        # Entered before the threads, and left after them, since it ends what would keep them. This is the event loop's
        # thread: what runs on it has to end at once.
        supervisor = stack.enter_context(RunSupervisor(limit_s=settings.run_limit_s, loop_thread=threading.get_ident()))
        # Threads of their own: a model being loaded or an event being synced must not hold up what serves requests.
        serving = threads("serving", settings.threads)
        loading, writing, reading = threads("loading"), threads("writing"), threads("reading")
        indexes = stack.enter_context(
            IndexOpener(
                device=settings.retrieval_device,
                placement=gpu_placement(settings),
                sampled_share=settings.recall_sample_share,
            )
        )
        remotes = stack.enter_context(RemoteServers(max_message_bytes=settings.max_message_mib * 1024 * 1024))
        runtimes = RuntimeOpener(
            default=RuntimeChoice(settings.model_runtime),
            device=settings.model_device,
            gpu_memory_mib=settings.gpu_memory_mib,
            remotes=remotes.openers,
            supervisor=supervisor,
        )
        records = await stack.enter_async_context(
            ModelRecords(ModelRecordStore(database), server=settings.server_name, writing=writing, reading=reading)
        )
        registry = await stack.enter_async_context(
            Registry(
                BundleStore(settings.repository),
                executor=loading,
                preparing=threads("preparing", VERSIONS_AT_ONCE),
                policies=VersionPolicies.parse(settings.version_policy, settings.version_policies),
                memory_mib=settings.model_memory_mib,
                tenant_memory_mib=settings.tenant_memory_mib,
                indexes=indexes,
                runtimes=runtimes,
                on_changed=records.add,
            )
        )
        compacting = threads("compacting")
        await stack.enter_async_context(Compactor(registry, executor=compacting))
        users = UserStore(database)
        changes = Changes(limit=settings.max_watchers)
        listeners = Listeners(
            users=users,
            executor=reading,
            cache_size=settings.user_cache_size,
            on_changed=lambda user_ids: changes.publish(listener_topic(user_id) for user_id in user_ids),
            tell=lambda user_ids: None if feed is None else feed.tell(LISTENERS, user_ids),
        )
        shared = await stack.enter_async_context(shared_cache(settings)) if settings.cache_url else None
        memory = ListMemory(budget_bytes=int(settings.cache_mib * 2**20), ttl_s=settings.cache_ttl_s, shared=shared)
        feed = (
            await stack.enter_async_context(news_feed(settings, listeners, memory, changes))
            if settings.cache_url
            else None
        )
        log = await stack.enter_async_context(
            EventLog(
                EventStore(database),
                executor=writing,
                on_stored=listeners.record,
                on_failed=lambda lost: listeners.forget(event.user_id for event in lost),
            )
        )
        stored_receipts = ReceiptStore(database)
        # One clock for all that experiments compare: it never goes back, whatever the computer's own does.
        clock = SteadyClock()
        receipts = await stack.enter_async_context(
            ReceiptWriter(stored_receipts, log=log, executor=threads("packing"), now=clock)
        )
        tilt_updates = TiltUpdateStore(database)
        learning = None
        if settings.learning:
            learning = await stack.enter_async_context(
                Learning(
                    updates=tilt_updates,
                    decisions=DecisionStore(database),
                    log=log,
                    executor=threads("learning"),
                    limits=learning_limits(settings),
                    now=clock,
                )
            )
        recommender = await stack.enter_async_context(
            Recommender(
                executor=serving,
                options=pipeline_options(settings),
                memory=memory,
                on_listed=receipts.add,
            )
        )
        uninterrupted = await stack.enter_async_context(Uninterrupted())
        inference = await stack.enter_async_context(
            InferenceService(
                registry=registry,
                executor=serving,
                limits=batch_limits(settings),
                most_answer_bytes=settings.max_message_mib * 1024 * 1024,
            )
        )
        # Neither the shadow nor the gate may take a thread from what serves, or fill its caches.
        trying = await stack.enter_async_context(
            Recommender(executor=threads("trying"), options=pipeline_options(settings))
        )
        shadow = await stack.enter_async_context(
            Shadow(registry=registry, recommender=trying, share=settings.shadow_share)
        )
        probation = (
            await stack.enter_async_context(Probation(registry.rollback, limits=probation_limits(settings)))
            if settings.probation_s
            else None
        )
        gate = PromotionGate(
            registry=registry,
            recommender=trying,
            listeners=listeners,
            shadow=shadow,
            executor=reading,
            golden=settings.repository / GOLDEN_FILE,
            limits=promotion_limits(settings),
        )
        models = ModelService(registry=registry, uninterrupted=uninterrupted, gate=gate, shadow=shadow)
        assigner = Assigner(holdout_share=settings.experiment_holdout_share)
        exposures = ExposureStore(database)
        experiments = ExperimentService(
            registry=registry,
            models=models,
            store=ExperimentStore(database),
            log=log,
            assigner=assigner,
            executor=reading,
            uninterrupted=uninterrupted,
            now=clock,
        )
        # What reads whole experiments or sorts all artists must not hold up what reads listeners.
        reporting = threads("reporting")
        reports = ReportService(
            experiments=experiments,
            assigner=assigner,
            exposures=exposures,
            writer=receipts,
            executor=reporting,
            now=clock,
        )
        catalog = CatalogService(
            registry=registry, tracks=TrackStore(database), executor=writing, uninterrupted=uninterrupted
        )
        strangers = StrangersCache()
        recommend = RecommendService(
            registry=registry,
            listeners=listeners,
            recommender=recommender,
            shadow=shadow,
            probation=probation,
            assigner=assigner,
            learning=learning,
        )
        sessions = SessionService(
            registry=registry,
            sessions=SessionStore(database),
            log=log,
            changes=changes,
            executor=reading,
            uninterrupted=uninterrupted,
            now=clock,
            tell=lambda names: None if feed is None else feed.tell(SESSIONS, names),
        )
        recommend_group = RecommendGroupService(
            registry=registry,
            listeners=listeners,
            recommender=GroupRecommender(
                recommender, executor=serving, options=pipeline_options(settings), on_listed=receipts.add
            ),
            sessions=sessions,
            assigner=assigner,
            learning=learning,
        )
        feedback = FeedbackService(registry=registry, log=log)
        index_service = IndexService(
            registry=registry, indexes=indexes, executor=compacting, uninterrupted=uninterrupted
        )
        tenancy = Tenancy(registry)
        server = GrpcServer(
            server_options(settings),
            recommender=RecommenderServicer(
                recommend=recommend,
                recommend_group=recommend_group,
                watch=WatchService(changes=changes, recommend=recommend, recommend_group=recommend_group),
                compatibility=CompatibilityService(
                    registry=registry, listeners=listeners, strangers=strangers, executor=serving
                ),
                taste=TasteService(
                    registry=registry,
                    listeners=listeners,
                    users=users,
                    strangers=strangers,
                    reading=reading,
                    executor=serving,
                ),
                rank=RankService(registry=registry, listeners=listeners, recommender=recommender),
                similar=SimilarService(registry=registry, recommender=recommender),
                classify=ClassifyService(registry=registry, executor=serving),
                explain=ExplainService(
                    registry=registry,
                    recommender=recommender,
                    receipts=stored_receipts,
                    writer=receipts,
                    executor=reading,
                ),
            ),
            feedback=FeedbackServicer(
                feedback=feedback,
                preferences=PreferenceService(
                    users=users, log=log, listeners=listeners, executor=reading, uninterrupted=uninterrupted
                ),
                privacy=PrivacyService(
                    registry=registry,
                    users=users,
                    log=log,
                    listeners=listeners,
                    recommenders=(recommender, trying),
                    receipts=receipts,
                    uninterrupted=uninterrupted,
                    assigner=assigner,
                ),
                features=FeatureService(registry=registry, listeners=listeners),
            ),
            catalog=CatalogServicer(
                catalog=catalog,
                artists=ArtistService(registry=registry, artists=ArtistStore(database), executor=reporting),
            ),
            models=ModelServicer(models=models, indexes=index_service, records=records, tenancy=tenancy),
            experiments=ExperimentServicer(experiments=experiments, reports=reports),
            groups=GroupServicer(sessions=sessions),
            learning=LearningServicer(
                tilts=TiltService(
                    learning=learning, updates=tilt_updates, executor=reading, uninterrupted=uninterrupted
                )
            ),
            find_model=lambda name, tenant: inference.find(tenancy.resolve(name, tenant)),
            foreign=foreign_services(settings, inference, models, tenancy),
            counts=requests,
        )
        await registry.start()
        await catalog.restore()
        periods = Periods(
            event_days=settings.event_retention_days,
            receipt_days=settings.receipt_retention_days,
            session_days=settings.session_retention_days,
            model_record_days=settings.model_record_retention_days,
        )
        await stack.enter_async_context(
            Retention(RetentionStore(database), periods=periods, log=log, listeners=listeners)
        )
        experiment_watch = await stack.enter_async_context(
            ExperimentWatch(
                experiments=experiments,
                assigner=assigner,
                exposures=exposures,
                executor=reporting,
                interval_s=settings.experiment_check_s,
            )
        )
        snapshot = registry.snapshot
        await stack.enter_async_context(
            Watcher(registry, root=settings.repository, interval_s=settings.repository_poll_s)
        )
        stack.callback(supervisor.hurry)  # once the server has drained, nobody waits for a run
        await stack.enter_async_context(server)
        for reader in readers(
            requests=requests,
            registry=registry,
            runs=runtimes.runs,
            inference=inference,
            recommender=recommender,
            trying=trying,
            indexes=index_service,
            database=database,
            memory=memory,
            shared=shared,
            feedback=feedback,
            log=log,
            changes=changes,
            receipts=receipts,
            records=records,
            assigner=assigner,
            experiment_watch=experiment_watch,
            learning=learning,
            shadow=shadow,
            probation=probation,
        ):
            metrics.add(reader)
        await stack.enter_async_context(changes)  # ends first: streams that watch would hold up the server's draining
        stack.enter_context(readiness.serving())
        yield App(
            host=settings.host,
            port=server.port,
            track_count=snapshot.catalog.live_count,
            models=(*snapshot.model_versions, *((kind, part.version) for kind, part in snapshot.classifiers.items())),
            refused=tuple(f"{part.part}: {part.detail}" for part in snapshot.degraded),
            http_port=http_port,
        )
