"""How much of this machine is used at once."""

from dapt.launch import slots


def test_a_slot_for_each_card_else_for_each_team_of_threads(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-7f2")
    assert slots.slots(2) == {
        "gpu-0": {"CUDA_VISIBLE_DEVICES": "0"},
        "gpu-GPU-7f2": {"CUDA_VISIBLE_DEVICES": "GPU-7f2"},
    }
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(slots.psutil.Process, "cpu_affinity", lambda self: list(range(9)))
    assert list(slots.slots(2).values()) == [{}] * 4 and slots.slots(16) == {"processor-0": {}}


def test_cards_are_counted_by_the_driver_s_own_program(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: GPU-1)'\necho 'GPU 1: H100 (UUID: GPU-2)'\n")
    program.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slots.cards() == ["0", "1"]
    program.unlink()
    assert slots.cards() == []


def test_two_do_not_hold_one_slot_and_one_that_waits_can_give_up(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, "LOGS", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    waited = []

    def held():
        return slots.slot(1, lambda: bool(waited), lambda: waited.append("waits"))

    with held() as first, held() as second:
        assert {first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]} == {"0", "1"} and not waited
        with held() as third:
            assert third is None and waited == ["waits"]
    waited.clear()
    with held() as again:
        assert again == {"CUDA_VISIBLE_DEVICES": "0"}
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
        with held() as other:  # another launch that names the cards in another order
            assert other == {"CUDA_VISIBLE_DEVICES": "1"}
