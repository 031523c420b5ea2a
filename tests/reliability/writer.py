"""A process that writes until it is killed: it says what it is about to do, does it, and says that it is done."""

import multiprocessing
import os
import random
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import oracle
from sound import DIMENSIONS

import memweld
from memweld.testing import HashEmbedder

CONTEXT = multiprocessing.get_context("forkserver")
# What takes long to import is imported once, in the process from which the others are forked. It finds installed
# packages only: before 3.12 it does not know the path of this directory.
CONTEXT.set_forkserver_preload(["memweld.engine.sql_engine", "memweld.engine.facts", "memweld.testing.embedding"])


def connect(file: str, **options: Any) -> memweld.Backend:
    return memweld.connect(file if "://" in file else f"sqlite:///{file}", embedder=HashEmbedder(DIMENSIONS), **options)


def write(file: str, user: str, seed: int, number: int, says: Connection) -> None:
    """Do operations on a user's memory, each announced and acknowledged."""
    chance = random.Random(seed)
    memory = connect(file).user(user)
    model = oracle.read(memory)
    while True:
        op = oracle.choose(chance, model, number)
        says.send(("begun", op))
        oracle.perform(memory, op)
        says.send(("done", op))
        model = oracle.foretell(model, op)[-1]
        number += 1


def start(function: Any, *arguments: Any) -> tuple[BaseProcess, Connection]:
    """The function in a process of its own, and what it says."""
    hears, says = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=function, args=(*arguments, says), daemon=True)
    process.start()
    says.close()
    return process, hears


def kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
