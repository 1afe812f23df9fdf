import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf
import yaml

from ganutils import callbacks, strategies
from tests import strategies_worker
from tests.test_tools import HUNG, ROOT

# float32 sums taken in another order; runs that differ in one image or latent differ by 1e-3.
TOLERANCE = 1e-5


def free_addresses(n):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]


def configuration(addresses, index):
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def start(mode, folder, tf_config=None):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    environment["PYTHONPATH"] = str(ROOT)
    if tf_config is not None:
        environment["TF_CONFIG"] = tf_config
    command = [sys.executable, "-m", "tests.strategies_worker", mode, str(folder)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def run(mode, folder, workers=0):
    """Run one process, or some workers; return for each its exit code and its messages."""
    addresses = free_addresses(workers)
    configurations = [configuration(addresses, i) for i in range(workers)] or [None]
    processes = [start(mode, folder, text) for text in configurations]
    ends = [None] * len(processes)

    def follow(i):
        _, messages = processes[i].communicate(timeout=HUNG)
        ends[i] = (processes[i].returncode, messages)

    threads = [threading.Thread(target=follow, args=(i,)) for i in range(len(processes))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HUNG)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert None not in ends, f"a process took more than {HUNG} s"
    return ends


def run_well(mode, folder, workers=0):
    for code, messages in run(mode, folder, workers):
        assert code == 0, messages


def load(path):
    with np.load(path, allow_pickle=False) as arrays:
        weights = [arrays[name] for name in sorted(arrays) if name.startswith("weight_")]
        return json.loads(str(arrays["history"])), weights


def assert_close(run, reference, tolerance=TOLERANCE):
    (history, weights), (reference_history, reference_weights) = run, reference
    assert set(history) == set(reference_history)
    for name, values in history.items():
        assert values == pytest.approx(reference_history[name], rel=tolerance), name
    for weight, expected in zip(weights, reference_weights, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=tolerance, atol=tolerance)


def train_here(*arguments, strategy=None, **options):
    """The same training in this process, on one device."""
    strategy = strategy or tf.distribute.get_strategy()
    arrays = strategies_worker.record(strategies_worker.train(strategy, *arguments, **options))
    return json.loads(arrays.pop("history")), list(arrays.values())


@pytest.fixture(scope="module")
def one_process():
    return train_here()


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_devices")
    run_well("two-devices", folder)
    runs = {name: load(folder / f"{name}.npz") for name in ("plain", "synchronized", "clipped", "conditional")}
    return {**runs, "backup": folder / "backup", **json.loads((folder / "result.json").read_text())}


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two_workers")
    run_well("worker-in-full", folder, workers=2)
    return [
        {
            **{name: load(folder / f"{name}_{i}.npz") for name in ("plain", "noisy")},
            **json.loads((folder / f"result_{i}.json").read_text()),
        }
        for i in range(2)
    ]


def test_two_devices_train_as_one_does(two_devices, one_process):
    """Same images, same latents, same gradients, metrics of the global batch: then all numbers agree."""
    assert_close(two_devices["plain"], one_process)


def test_gradients_are_clipped_after_they_are_added_up(two_devices, one_process):
    clipped = train_here(clip=0.01)
    assert_close(two_devices["clipped"], clipped)
    assert not np.allclose(clipped[1][0], one_process[1][0], rtol=1e-3), "the limit must have been met"


def test_two_devices_train_a_conditional_gan_as_one_does(two_devices):
    """Each label stays with its image, and the gradients of the tables of labels are added up as well."""
    assert_close(two_devices["conditional"], train_here(strategies_worker.conditional_networks))


def test_an_overflow_on_one_replica_moves_nothing_on_any(two_devices):
    before, *after = two_devices["overflow"]["kernels"]
    assert after == [before, before]
    scale, *scales = two_devices["overflow"]["scales"]
    assert scales == [scale / 2, scale / 2], "both must take the scale to be too large"


def test_discriminator_steps_are_counted_as_on_one_device(two_devices):
    generator_steps, discriminator_steps = two_devices["steps"]
    assert (generator_steps, discriminator_steps) == (8, 16), "two epochs of four batches"


def test_batch_norm_that_is_synchronized_is_that_of_the_global_batch(two_devices):
    assert_close(two_devices["synchronized"], train_here(strategies_worker.synchronized_networks))


def test_a_run_may_go_on_with_another_number_of_devices(two_devices, one_process):
    assert callbacks.Backup(two_devices["backup"]).epoch == 1
    assert_close(train_here(backup=two_devices["backup"]), one_process)


def test_the_tolerance_would_show_other_images_or_latents(one_process):
    """What makes the tests of equal losses mean something."""
    for name, values in train_here(seed=8)[0].items():
        assert np.abs(np.subtract(values, one_process[0][name])).min() > 100 * TOLERANCE, name


def test_replicas_differ_in_their_dropout_and_in_nothing_else(two_devices):
    assert not two_devices["differ"], "weights, statistics and averages must be the same on all replicas"
    one, other = two_devices["masks"]
    assert one != other
    states = list(two_devices["random_states"].values())
    assert len(states) == 2, "that of the latents and that of the dropout"
    assert sorted(a == b for a, b in states) == [False, True], "the replicas draw the same latents and share them"


def test_a_growing_gan_grows_alike_on_two_devices(two_devices):
    found = two_devices["growing"]
    assert not found["differ"]
    assert found["finite"]
    assert (found["steps"], found["steps of Adam"]) == (8, 2), "Adam begins anew with the second phase"
    assert found["alpha"] == pytest.approx(2 / 3)


def test_statistics_become_the_mean_over_the_replicas(two_devices):
    assert two_devices["average"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("uneven batch", "a batch of 7 images cannot be split among 2 replicas"),
        ("unknown batch", "one known size"),
        ("several steps", "steps_per_execution=2"),
        ("optimizer outside", "made outside of the strategy"),
    ],
)
def test_what_several_devices_cannot_do_is_refused(two_devices, case, message):
    assert message in two_devices["refusals"][case]
    assert two_devices["refusals"][case].startswith("ValueError")


def test_two_workers_train_as_one_process_does(two_workers, one_process):
    for worker in two_workers:
        assert_close(worker["plain"], one_process)


@pytest.mark.parametrize("networks", ["plain", "noisy"])
def test_workers_have_identical_weights_and_metrics(two_workers, networks):
    """With batch norm, dropout and a weight average ("noisy") as well, to the last bit."""
    (history, weights), (other_history, other_weights) = (worker[networks] for worker in two_workers)
    assert history == other_history
    for weight, other in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(weight, other)


def test_workers_that_differ_are_told_so(two_workers):
    for worker in two_workers:
        assert "the workers differ in seed, which is" in worker["refusals"]["different seeds"]
        assert "the workers differ in epoch" in worker["refusals"]["folder of its own"]
        assert "cannot stop several workers" in worker["refusals"]["time limit"]
        assert "each worker would train its own" in worker["refusals"]["model outside"]
    assert [worker["chief"] for worker in two_workers] == [True, False]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_dead_worker_is_noticed_and_the_run_goes_on_when_started_again(two_workers, tmp_path):
    (code, messages), (killed, _) = run("dying-worker", tmp_path, workers=2)
    assert killed == -9
    assert code == 1
    assert "RuntimeError: this worker lost contact with another one" in messages
    assert "Start all workers again" in messages
    assert callbacks.Backup(tmp_path / "backup").epoch == 1

    run_well("worker", tmp_path, workers=2)
    history, weights = two_workers[0]["noisy"]
    for i in range(2):
        resumed_history, resumed_weights = load(tmp_path / f"noisy_{i}.npz")
        assert resumed_history == history
        for weight, expected in zip(resumed_weights, weights, strict=True):
            np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize("text", ["", configuration(["127.0.0.1:2222"], 0)])
def test_one_device_needs_no_strategy(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    assert strategies.choose_strategy() is tf.distribute.get_strategy()


def test_a_device_that_is_named_is_the_one_that_is_used(one_process):
    strategy = strategies.choose_strategy(["CPU:0"])
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.extended.worker_devices[0].endswith("CPU:0")
    assert_close(train_here(strategy=strategy), one_process)


@pytest.mark.parametrize(
    "text",
    [
        '{"cluster": ',
        json.dumps({"cluster": {"worker": [["10.0.0.1"]]}}),
        json.dumps({"cluster": {"worker": ["10.0.0.1:1", "10.0.0.2:1"], "ps": ["10.0.0.3:1"]}}),
    ],
)
def test_a_broken_cluster_is_named(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG cannot be used") as error:
        strategies.choose_strategy()
    assert '"cluster": {"worker":' in str(error.value), "an example of what is expected"


def code_blocks(language):
    text = (ROOT / "docs" / "several_devices.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_examples_of_the_guide_make_clusters(tmp_path):
    """Run with a stand-in for a `train.py` that prints its TF_CONFIG."""
    (tmp_path / "python").write_text('#!/bin/sh\necho "$TF_CONFIG"\n')
    (tmp_path / "python").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "JOB_COMPLETION_INDEX": "1"}

    def cluster_of(command):
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=HUNG)
        config = json.loads(result.stdout)
        return config["cluster"]["worker"], config["task"]["index"]

    plain, _ = code_blocks("sh")
    assert cluster_of(["bash", "-c", plain]) == (["10.0.0.1:2222", "10.0.0.2:2222"], 0)
    service, job = yaml.safe_load_all(code_blocks("yaml")[0])
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    addresses, index = cluster_of([*container["command"], *container["args"]])
    name = job["metadata"]["name"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert addresses == [f"{name}-{i}.{pod['subdomain']}:2222" for i in range(job["spec"]["completions"])]
    assert index == 1


def test_slurm_names_its_workers(monkeypatch):
    """What Slurm sets, and TensorFlow's resolver, as the guide has it."""
    for name, value in {
        "PROCID": "2",
        "STEP_NUM_TASKS": "3",
        "STEP_NODELIST": "n[1-3]",
        "STEP_TASKS_PER_NODE": "1(x3)",
    }.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    (call,) = re.findall(r"SlurmClusterResolver\(.*?\)", "".join(code_blocks("python")))
    resolver = eval(f"tf.distribute.cluster_resolver.{call}", {"tf": tf})
    monkeypatch.setattr(resolver, "_auto_set_gpu", False)
    assert strategies._size(resolver) == 3
    assert resolver.cluster_spec().as_dict() == {"worker": ["n1:8888", "n2:8888", "n3:8888"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 2)


def test_bad_arguments_are_named(monkeypatch):
    for devices in ([], "GPU:0"):
        with pytest.raises(ValueError, match="give a list"):
            strategies.choose_strategy(devices)
    monkeypatch.setenv("TF_CONFIG", configuration(["10.0.0.1:2222", "10.0.0.2:2222"], 0))
    with pytest.raises(ValueError, match="leave devices out"):
        strategies.choose_strategy(["CPU:0"])
