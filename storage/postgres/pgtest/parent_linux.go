// SPDX-License-Identifier: Apache-2.0

package pgtest

import (
	"os/exec"
	"syscall"
)

// endWithParent ends the server when the test that started it is killed.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr.Pdeathsig = syscall.SIGQUIT }
