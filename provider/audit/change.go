// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotRecorded is wrapped by the errors of Change if the line could not be written. Nothing
// was changed then.
var ErrNotRecorded = errors.New("audit: the line could not be written, so nothing was changed")

// Change makes a change that e announces: it writes the line first, and does nothing if
// that fails. If do fails, a second line says so (ChangeFailed). A line without a second
// one therefore means: done, or the server ended meanwhile.
//
// What is refused anyway should be refused before, because the line says that it was
// begun.
func Change(ctx context.Context, r DurableRecorder, e Event, do func(context.Context) error) error {
	if err := r.RecordDurable(ctx, e); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRecorded, err)
	}
	err := do(ctx)
	if err == nil {
		return nil
	}
	e.Change, e.Name, e.Err = e.Name, ChangeFailed, err
	// The request may be over: that is why it failed, perhaps.
	return errors.Join(err, r.RecordDurable(context.WithoutCancel(ctx), e))
}
