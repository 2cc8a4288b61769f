package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
)

var _ subject.Store = (*Store)(nil)

// Person implements subject.Store.
func (s *Store) Person(ctx context.Context, sub string) (subject.Person, error) {
	return view(ctx, s, func(b *batch) func() (subject.Person, error) {
		p := &subject.Person{}
		found := b.person(p, sub, "")
		return func() (subject.Person, error) {
			if !*found {
				return subject.Person{}, subject.ErrNotFound
			}
			return *p, nil
		}
	})
}

// PersonOf implements admin.People. It reads at REPEATABLE READ, so that the number and
// its user are of one moment.
func (s *Store) PersonOf(ctx context.Context, n phone.Number) (found subject.Person, err error) {
	err = s.writeAt(ctx, "REPEATABLE READ READ ONLY", func(t *txn) error {
		found = subject.Person{}
		owners := t.owners(n, "")
		if err := t.look(); err != nil {
			return err
		}
		p, err := owners.person()
		switch {
		case err != nil:
			return err
		case p == nil:
			return subject.ErrNotFound
		}
		found = *p
		return nil
	})
	return found, err
}

// person queues a query for a user.
func (b *batch) person(p *subject.Person, sub, lock string) (found *bool) {
	return b.one(&record.People, (*record.Person)(p), "SELECT key, value FROM people WHERE key = $1"+lock, []byte(sub))
}

// owners are the users to whom the spellings of a number lead, in the order of
// record.Sealer.NumberKeys.
type owners struct {
	keys   [][]byte
	subs   []string // "": none
	people map[string]*subject.Person
}

// person returns the user to whom the number belongs, nil for none. A number that leads
// to a user who is not there is an error: it must not become a new user's.
func (o *owners) person() (*subject.Person, error) {
	for _, sub := range o.subs {
		if sub == "" {
			continue
		}
		if o.people[sub] == nil {
			return nil, misled("numbers")
		}
		return o.people[sub], nil
	}
	return nil, nil
}

// owners queues queries for the users of a number; lock is what the rows are locked
// with.
func (b *batch) owners(n phone.Number, lock string) *owners {
	o := &owners{people: map[string]*subject.Person{}}
	for _, key := range b.s.sealer.NumberKeys(n) {
		o.keys = append(o.keys, key[:])
	}
	o.subs = make([]string, len(o.keys))
	b.each("SELECT key, value FROM numbers WHERE key = ANY($1) ORDER BY key"+lock, []any{o.keys}, func(key, value []byte) error {
		i := slices.IndexFunc(o.keys, func(k []byte) bool { return bytes.Equal(k, key) })
		return b.s.sealer.Open(&record.Numbers, key, value, (*record.Text)(&o.subs[i]))
	})
	of := ""
	if lock != "" {
		of = lock + " OF p"
	}
	b.each("SELECT p.key, p.value FROM people p WHERE p.key IN (SELECT sub FROM numbers WHERE key = ANY($1)) ORDER BY p.key"+of,
		[]any{o.keys}, func(key, value []byte) error {
			p := &subject.Person{}
			o.people[string(key)] = p
			return b.s.sealer.Open(&record.People, key, value, (*record.Person)(p))
		})
	return o
}

// lockNumber queues what locks a number in all of its spellings, known or not, and
// returns its users.
func (b *batch) lockNumber(n phone.Number) *owners {
	var sorted [][]byte
	for _, key := range b.s.sealer.NumberKeys(n) {
		sorted = append(sorted, key[:])
	}
	slices.SortFunc(sorted, bytes.Compare)
	b.run("INSERT INTO numbers (key, sub, value) SELECT key, '', '' FROM unnest($1::bytea[]) AS key ON CONFLICT DO NOTHING", sorted)
	b.all(len(sorted), "SELECT FROM numbers WHERE key = ANY($1) ORDER BY key FOR UPDATE", sorted)
	return b.owners(n, " FOR NO KEY UPDATE")
}

// all queues a query that must give so many rows. If one was deleted meanwhile, the
// transaction runs again.
func (b *batch) all(n int, sql string, args ...any) {
	b.queue.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			n--
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if n > 0 {
			return errAgain
		}
		return nil
	})
}

// putPerson stores a user, to whom the number belongs from now on. The user who had
// the number before stays and has lost it: a sub is never issued again.
func (t *txn) putPerson(p subject.Person, o *owners) {
	t.put("SELECT refuse_deleted($1)", t.s.tombstone(p.Sub))
	t.storePerson(p)
	for i, key := range o.keys {
		today, owner := i == 0, o.subs[i]
		if before := o.people[owner]; owner != "" && owner != p.Sub && before != nil && !before.NumberLost {
			before.NumberLost = true
			t.storePerson(*before)
		}
		switch {
		case today && owner != p.Sub:
			value := t.s.sealer.Seal(&record.Numbers, key, never, (*record.Text)(&p.Sub))
			t.put("UPDATE numbers SET sub = $2, value = $3 WHERE key = $1", key, []byte(p.Sub), value)
		case !today:
			t.put("DELETE FROM numbers WHERE key = $1", key)
		}
	}
}

// keepNumber undoes lockNumber where no user gets the number.
func (t *txn) keepNumber(o *owners) {
	for i, key := range o.keys {
		if o.subs[i] == "" {
			t.put("DELETE FROM numbers WHERE key = $1", key)
		}
	}
}

func (t *txn) storePerson(p subject.Person) {
	key := []byte(p.Sub)
	t.put("INSERT INTO people (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value",
		key, t.s.sealer.Seal(&record.People, key, never, (*record.Person)(&p)))
}

// tombstone returns the key of what remains of a deleted user.
func (s *Store) tombstone(sub string) []byte {
	key := s.sealer.DeletedKey(sub)
	return key[:]
}

// living queues what keeps a user from being deleted before the transaction ends, and
// ends it if the user was deleted. Whoever gives a user a record does so first.
func (b *batch) living(sub string) {
	if sub == "" {
		return
	}
	b.run("SELECT FROM people WHERE key = $1 FOR KEY SHARE", []byte(sub))
	b.run("SELECT refuse_deleted($1)", b.s.tombstone(sub))
}

// putLiving is living among what is written.
func (t *txn) putLiving(sub string) {
	if sub == "" {
		return
	}
	t.put("SELECT FROM people WHERE key = $1 FOR KEY SHARE", []byte(sub))
	t.put("SELECT refuse_deleted($1)", t.s.tombstone(sub))
}

// lockPerson queues what keeps a user from getting records until the transaction ends.
func (b *batch) lockPerson(sub string) {
	b.run("SELECT FROM people WHERE key = $1 FOR UPDATE", []byte(sub))
}

var errNoNumber = fmt.Errorf("postgres: a user cannot be bound to no number")
