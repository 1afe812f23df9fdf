import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from ganutils import callbacks, strategies, training
from tests import strategies_worker

ROOT = Path(__file__).parent.parent
SECONDS = 600  # after which a process is killed; far above what it needs, even on a busy machine
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
    """Run one process, or some workers; return for each its exit code, its messages and when it ended."""
    addresses = free_addresses(workers)
    configurations = [configuration(addresses, i) for i in range(workers)] or [None]
    processes = [start(mode, folder, text) for text in configurations]
    ends = [None] * len(processes)

    def follow(i):
        _, messages = processes[i].communicate(timeout=SECONDS)
        ends[i] = (processes[i].returncode, messages, time.monotonic())

    threads = [threading.Thread(target=follow, args=(i,)) for i in range(len(processes))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert None not in ends, f"a process took more than {SECONDS} s"
    return ends


def run_well(mode, folder, workers=0):
    for code, messages, _ in run(mode, folder, workers):
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


def test_statistics_become_the_mean_over_the_replicas(two_devices):
    assert two_devices["average"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("uneven batch", "a batch of 7 images cannot be shared by 2 replicas"),
        ("array", "give fit a dataset"),
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


def test_workers_stop_at_the_same_step(two_workers):
    """The limit of one of them is over at once: the other must not wait for it in vain."""
    assert two_workers[0]["steps"] == two_workers[1]["steps"] < 4000


def test_workers_that_differ_are_told_so(two_workers):
    for worker in two_workers:
        assert "the workers differ in seed: 7, 8" in worker["refusals"]["different seeds"]
        assert "each worker would train one of its own" in worker["refusals"]["model outside"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_dead_worker_is_noticed_and_the_run_goes_on_when_started_again(two_workers, tmp_path):
    (code, messages, noticed), (killed, _, died) = run("dying-worker", tmp_path, workers=2)
    assert killed == -9
    assert code == 1
    assert "RuntimeError: worker 0 lost contact with another worker" in messages
    assert "Start all workers again" in messages
    assert noticed - died < 120, "TensorFlow's heartbeats take ten seconds; the rest is the process's end"
    assert callbacks.Backup(tmp_path / "of_worker_0" / "backup").epoch == 1
    assert not (tmp_path / "of_worker_1").exists(), "only the chief writes"

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
    assert training.choose_strategy() is tf.distribute.get_strategy()


def test_a_device_that_is_named_is_the_one_that_is_used(one_process):
    strategy = training.choose_strategy(["CPU:0"])
    assert isinstance(strategy, tf.distribute.OneDeviceStrategy)
    assert strategy.extended.worker_devices[0].endswith("CPU:0")
    assert_close(train_here(strategy=strategy), one_process)


def cluster(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


TWO = ["10.0.0.1:2222", "10.0.0.2:2222"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"cluster": ', "no JSON"),
        ("[]", "no cluster"),
        ("{}", "no cluster"),
        ('{"task": {"type": "worker", "index": 0}}', "no cluster"),
        (cluster({"worker": TWO, "ps": ["10.0.0.3:1"]}), "worker, ps; allowed are chief and worker"),
        (cluster({"worker": "10.0.0.1:2222"}), "'worker' is not a list of addresses"),
        (cluster({"worker": ["10.0.0.1"]}), "'worker' is not a list of addresses"),
        (cluster({"worker": ["10.0.0.1:99999"]}), "'worker' is not a list of addresses"),
        (cluster({"worker": TWO * 2}), "the same address twice"),
        (cluster({"chief": TWO, "worker": ["10.0.0.3:1"]}), "more than one chief"),
        (cluster({"worker": TWO}, kind="evaluator"), "'evaluator', of which the cluster has none"),
        (json.dumps({"cluster": {"worker": TWO}}), "None, of which the cluster has none"),
        (cluster({"worker": TWO}, index=2), "index 2; choose from 0 to 1"),
        (cluster({"worker": TWO}, index=-1), "index -1; choose from 0 to 1"),
        (cluster({"worker": TWO}, index="0"), "index '0'; choose from 0 to 1"),
    ],
)
def test_a_broken_cluster_is_named(monkeypatch, text, message):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG cannot be used") as error:
        training.choose_strategy()
    assert message in str(error.value)
    assert '"cluster": {"worker":' in str(error.value), "an example of what is expected"


def test_the_chief_comes_first():
    config = {"worker": TWO, "chief": ["10.0.0.3:2222"]}
    assert strategies.read_cluster(cluster(config, "chief")) == (["10.0.0.3:2222", *TWO], 0)
    assert strategies.read_cluster(cluster(config, "worker", 1)) == (["10.0.0.3:2222", *TWO], 2)


def code_blocks(language):
    text = (ROOT / "docs" / "several_devices.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_the_examples_of_the_guide_make_clusters(tmp_path):
    """Run with stand-ins for Slurm's commands, and for a `train.py` that prints its TF_CONFIG."""
    stand_ins = {
        "python": f'if [ "$1" = train.py ]; then echo "$TF_CONFIG"; else exec {sys.executable} "$@"; fi',
        "scontrol": "echo node1; echo node2; echo node3",
        "srun": 'shift; exec "$@"',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_PROCID": "2", "JOB_COMPLETION_INDEX": "1"}

    def cluster_of(command):
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=30)
        return strategies.read_cluster(result.stdout)

    plain, slurm = code_blocks("sh")
    assert cluster_of(["bash", "-c", plain]) == (TWO, 0)
    assert cluster_of(["bash", "-c", slurm]) == (["node1:2222", "node2:2222", "node3:2222"], 2)
    service, job = yaml.safe_load_all(code_blocks("yaml")[0])
    pod = job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    addresses, index = cluster_of([*container["command"], *container["args"]])
    name = job["metadata"]["name"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert addresses == [f"{name}-{i}.{pod['subdomain']}:2222" for i in range(job["spec"]["completions"])]
    assert index == 1


def test_bad_arguments_are_named(monkeypatch):
    for devices in ([], "GPU:0"):
        with pytest.raises(ValueError, match="give a list"):
            training.choose_strategy(devices)
    with pytest.raises(ValueError, match="wait=0"):
        training.choose_strategy(wait=0)
    monkeypatch.setenv("TF_CONFIG", cluster({"worker": TWO}))
    with pytest.raises(ValueError, match="leave devices out"):
        training.choose_strategy(["CPU:0"])


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_does_not_come_is_named(monkeypatch, index):
    addresses = free_addresses(2)
    monkeypatch.setenv("TF_CONFIG", configuration(addresses, index))
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=addresses[1 - index]):
        training.choose_strategy(wait=0.5)
    assert time.monotonic() - start < 10


def test_a_port_that_is_taken_is_named():
    """And not the workers, which may all be there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = [f"127.0.0.1:{port}", *free_addresses(1)]
        with pytest.raises(TimeoutError, match=f"port {port} could not be opened"):
            strategies.wait_for_workers(addresses, 0, 0.5)


def test_a_worker_that_left_while_it_waited_does_not_count():
    """TensorFlow would then wait for it, an hour and without a word."""
    addresses = free_addresses(3)
    host, port = addresses[0].split(":")
    found = []

    def first():
        with pytest.raises(TimeoutError) as raised:
            strategies.wait_for_workers(addresses, 0, 4)
        found.append(str(raised.value))

    def last():
        with pytest.raises(TimeoutError):
            strategies.wait_for_workers(addresses, 2, 4)

    thread = threading.Thread(target=first)
    thread.start()
    time.sleep(0.5)
    with socket.create_connection((host, int(port))) as leaves:
        leaves.sendall(strategies._GREETING + b"000001")
        time.sleep(0.5)
    other = threading.Thread(target=last)
    other.start()
    for one in (thread, other):
        one.join(20)
    assert found
    assert addresses[1] in found[0]
    assert addresses[2] not in found[0]


def test_workers_wait_for_the_last_one():
    """It comes late, and strangers knock before it: one silent, one that says something else."""
    addresses = free_addresses(3)
    host, port = addresses[0].split(":")
    there = []

    def come(index, delay):
        time.sleep(delay)
        strategies.wait_for_workers(addresses, index, 30)
        there.append((index, time.monotonic()))

    begin = time.monotonic()
    threads = [threading.Thread(target=come, args=(i, delay)) for i, delay in enumerate([0, 0, 3])]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    with socket.create_connection((host, int(port))), socket.create_connection((host, int(port))) as loud:
        loud.sendall(b"GET / HTTP/1.1\r\n\r\n" * 3)
        for thread in threads:
            thread.join(30)
    assert sorted(index for index, _ in there) == [0, 1, 2]
    assert all(moment - begin >= 3 for _, moment in there)
    with socket.create_server((host, int(port))):
        pass  # the address is free for TensorFlow
