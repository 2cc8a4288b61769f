package bolt

import (
	"context"
	"errors"
	"sort"
	"time"

	"calleridp/truecaller"
)

var _ truecaller.Inbox = (*Store)(nil)

// deliveryKept is how long a delivery stays that nobody could finish: well
// beyond the ten minutes of its token.
const deliveryKept = time.Hour

type deliveryRecord struct {
	App         string    `json:"a"`
	Received    time.Time `json:"t"`
	RequestID   string    `json:"q,omitempty"`
	State       string    `json:"s,omitempty"`
	AccessToken string    `json:"k,omitempty"`
	Endpoint    string    `json:"e,omitempty"`
	Status      string    `json:"st,omitempty"`
}

func (s *Store) PutDelivery(ctx context.Context, d truecaller.Delivery) error {
	return s.write(ctx, func(tx *txn) error {
		var kept deliveryRecord
		if err := tx.get(bInbox, []byte(d.ID), &kept); !errors.Is(err, errMissing) {
			return err // there already, or unreadable
		}
		return tx.put(bInbox, []byte(d.ID), deliveryRecord{App: d.App, Received: d.Received, RequestID: d.RequestID,
			State: d.State, AccessToken: d.AccessToken, Endpoint: d.Endpoint, Status: d.Status}, d.Received.Add(deliveryKept))
	})
}

func (s *Store) Deliveries(_ context.Context, max int) (found []truecaller.Delivery, err error) {
	err = s.read(func(r reader) error {
		return r.bucket(bInbox).ForEach(func(k, value []byte) error {
			var v deliveryRecord
			if err := r.open(bInbox, k, value, &v); errors.Is(err, errMissing) {
				return nil
			} else if err != nil {
				return err
			}
			found = append(found, truecaller.Delivery{ID: string(k), App: v.App, Received: v.Received, Callback: truecaller.Callback{
				RequestID: v.RequestID, State: v.State, AccessToken: v.AccessToken, Endpoint: v.Endpoint, Status: v.Status}})
			return nil
		})
	})
	sort.SliceStable(found, func(i, j int) bool { return found[i].Received.Before(found[j].Received) })
	if len(found) > max {
		found = found[:max]
	}
	return found, err
}

func (s *Store) DropDelivery(ctx context.Context, id string) error {
	return s.note(ctx, func(tx *txn) error { return tx.drop(bInbox, []byte(id)) })
}
