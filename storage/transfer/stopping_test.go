package transfer_test

import (
	"context"
	"iter"
	"time"

	"calleridp/storage/record"
	"calleridp/storage/transfer"
)

// stopping is a Reader that fails after some records.
type stopping struct {
	transfer.Reader
	left int
	err  error
}

func (s *stopping) Records(ctx context.Context, k *record.Kind, at time.Time) iter.Seq2[transfer.Stored, error] {
	return func(yield func(transfer.Stored, error) bool) {
		for stored, err := range s.Reader.Records(ctx, k, at) {
			if s.left--; s.left < 0 {
				yield(transfer.Stored{}, s.err)
				return
			}
			if !yield(stored, err) {
				return
			}
		}
	}
}
