"""The board: who is found, and what nobody may take while it is written."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.samples import device_id

from shieldwall.server.targeting.board import Board, BrokenBoardError, id_from, ids_from

DEVICES = [device_id(number) for number in range(1, 1_201)]


def a_board() -> Board:
    board = Board.make(len(DEVICES))
    board.add(ids_from(DEVICES[:700]))
    board.add(ids_from(DEVICES[700:]))
    board.low[:1_200] = np.arange(1_200)
    board.known[:1_200] = True
    return board


def test_each_device_is_found_at_its_place_and_nobody_else() -> None:
    board = a_board()
    assert [board.find(id_from(each)) for each in DEVICES] == list(range(1_200))
    assert board.find_many(ids_from([*DEVICES, device_id(5_000)])).tolist() == [*range(1_200), -1]
    assert board.find(id_from(device_id(5_000))) is None


def test_a_larger_one_holds_the_same() -> None:
    board = a_board()
    larger = board.copied(bytearray)
    assert larger.capacity == 2 * board.capacity
    assert larger.find_many(ids_from(DEVICES)).tolist() == list(range(1_200))
    found = larger.look(id_from(DEVICES[7]))
    assert found is not None
    assert found.tolist() == [7, 0]


def test_nothing_is_taken_while_it_is_written_or_once_it_is_replaced() -> None:
    board, device = a_board(), id_from(DEVICES[3])
    with board.writing():
        assert board.look(device) is None
    assert board.look(device) is not None
    board.known[3] = False
    assert board.look(device) is None
    board.known[3] = True
    board.replace()
    assert board.look(device) is None


def test_what_changes_under_the_eyes_of_a_reader_is_not_taken() -> None:
    board = a_board()

    class Meddling(Board):
        def find(self, device: bytes) -> int | None:
            with board.writing():
                board.low[3] = 77
            return super().find(device)

    assert Meddling(board.buffer).look(id_from(DEVICES[3])) is None


def test_other_bytes_are_no_board() -> None:
    for octets in (bytearray(64), bytearray(Board.make(1).buffer)[:100]):
        with pytest.raises(BrokenBoardError):
            Board(octets)
