// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"

	"calleridp/provider/client"
)

// Warnings returns what is allowed and probably a mistake.
func (s Settings) Warnings() []string {
	var warnings []string
	if !s.TLS.On() && s.IsHTTPS() && len(s.TrustedProxies) == 0 {
		warnings = append(warnings, "trusted_proxies: unset, and tls too; behind a proxy, all users share the proxy's address and one limits.network budget")
	}
	if s.Limits.Lock < s.Lifetimes.Attempt {
		warnings = append(warnings, fmt.Sprintf("limits.lock: %s is less than lifetimes.attempt, %s; a phone can show two requests at once", s.Limits.Lock, s.Lifetimes.Attempt))
	}
	if s.Limits.CoolDown < s.Limits.Lock {
		warnings = append(warnings, fmt.Sprintf("limits.cool_down: %s is less than limits.lock, %s; the lock alone then keeps others out", s.Limits.CoolDown, s.Limits.Lock))
	}
	for _, app := range s.keyedApps() {
		for _, host := range app.foreign() {
			warnings = append(warnings, fmt.Sprintf("%s: %s IS NOT TRUECALLER; whoever runs it can sign in as any user. For a rehearsal with calleridp simulate only: remove it before real users come", app.key+"."+host.key, host.url))
		}
	}
	if within, err := filepath.Rel(s.DataDir, s.Backup.Dir); s.Backup.Every != 0 && err == nil && filepath.IsLocal(within) {
		warnings = append(warnings, "backup.dir: it is in data_dir; what destroys the store destroys its backups, unless you copy them elsewhere")
	}
	for i, c := range s.Clients {
		for _, unwise := range client.Advise(c) {
			warnings = append(warnings, fmt.Sprintf("clients[%d].%s: %s", i, unwise.Field, unwise.Reason))
		}
	}
	return warnings
}
