"""Runs Beam's job service and a pool of worker processes on loopback, until it is killed.

Prints the options with which `tfds build` uses them.
"""

import signal

from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


class JobOfTwoWorkers(BeamJob):
    """Beam's job, which would ask the pool for a single worker, whatever the options say."""

    def _invoke_runner(self):
        self.set_state(beam_job_api_pb2.JobState.RUNNING)
        runner = FnApiRunner(provision_info=self._provision_info)
        runner._num_workers = 2
        return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())


def main() -> None:
    """Serves."""
    pool, _ = BeamFnExternalWorkerPoolServicer.start(use_process=True)
    port = LocalJobServicer(beam_job_type=JobOfTwoWorkers).start_grpc_server()
    options = {
        "runner": "PortableRunner",
        "job_endpoint": f"localhost:{port}",
        "environment_type": "EXTERNAL",
        "environment_config": pool,
    }
    print(",".join(f"{name}={value}" for name, value in options.items()), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
