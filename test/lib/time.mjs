// SPDX-License-Identifier: Apache-2.0
// How long tests wait, in milliseconds.

// timeout is how long a test waits for what must happen. A test that passes does not wait
// so long; a slow machine may.
export const timeout = 60_000;

// limit is how long a test may take. It ends a test that hangs, and no other.
export const limit = 600_000;
