# SPDX-License-Identifier: GPL-2.0
"""The runner: builds kernels and the suite, boots guests, and turns what they say into verdicts."""
