// SPDX-License-Identifier: Apache-2.0

package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	"calleridp/storage/postgres"
)

// Examine looks beyond the configuration itself: what the user of this process cannot
// write, and whether the database can be used. It returns what is allowed and probably a
// mistake. file is where the configuration comes from. The error is an *InvalidError.
func (s Settings) Examine(ctx context.Context, file string) (warnings []string, err error) {
	if invalid := append(s.checkWritable(), s.checkOverrides()...); invalid != nil {
		return nil, &InvalidError{Source: source(file), Keys: invalid}
	}
	warnings = s.Warnings()
	if s.Postgres == nil {
		return warnings, nil
	}
	o := *s.Postgres
	o.RecoverFor = time.Second // a database that is away is reported at once
	o.Issuer = s.Issuer
	found, err := postgres.Check(ctx, s.Master, o)
	if err != nil {
		key, reason := "storage", err.Error()
		if setup, ok := errors.AsType[*postgres.SetupError](err); ok {
			key, reason = s.StorageKey(setup.Field), fmt.Sprintf("%s (%v)", setup.Reason, errors.Unwrap(setup))
		}
		if errors.Is(err, postgres.ErrIssuer) {
			key = "issuer"
		}
		return warnings, &InvalidError{Source: source(file), Keys: []KeyError{{Key: key, Reason: reason}}}
	}
	for _, w := range found {
		warnings = append(warnings, s.StorageKey(w.Field)+": "+w.Reason)
	}
	return warnings, nil
}
