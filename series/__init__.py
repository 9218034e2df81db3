# SPDX-License-Identifier: GPL-2.0
"""Makes a patch series for a kernel tree of these sources."""
