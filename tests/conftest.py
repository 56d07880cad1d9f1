"""What every test finds: one torch thread, whatever a test before it left behind."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks on few cores: with more threads than free cores each operation waits for its slowest part."""
    torch.set_num_threads(1)
