// SPDX-License-Identifier: Apache-2.0

package account

// Export is what a user downloads of a record.
var Export = export
