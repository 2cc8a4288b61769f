// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"calleridp/provider/grant"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/record"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
)

var _ subject.Store = (*Store)(nil)

// Person implements subject.Store.
func (s *Store) Person(ctx context.Context, sub string) (subject.Person, error) {
	var known subject.Person
	if exists, was, err := s.brought(ctx, &record.People, []byte(sub), (*record.Person)(&known)); was {
		if err == nil && !exists {
			err = subject.ErrNotFound
		}
		return known, err
	}
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

// ForeseePerson implements subject.Store. LiveAttempts brings the user along.
func (s *Store) ForeseePerson(ctx context.Context, sub string) {
	foresee(ctx, at(&record.People, []byte(sub)))
}

// ListPeople implements admin.People.
func (s *Store) ListPeople(ctx context.Context, after string, most int) ([]subject.Person, error) {
	return view(ctx, s, func(b *batch) func() ([]subject.Person, error) {
		var page []subject.Person
		b.each("SELECT key, value FROM people WHERE key > $1 AND value <> '' ORDER BY key LIMIT $2", []any{[]byte(after), most}, func(key, value []byte) error {
			var p subject.Person
			err := b.s.sealer.Open(&record.People, key, value, (*record.Person)(&p))
			page = append(page, p)
			return err
		})
		return func() ([]subject.Person, error) { return page, nil }
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

// bringPerson has a read bring along the user that a query finds by its first argument.
// It is a query for the key.
func (b *batch) bringPerson(ctx context.Context, key string, arg []byte) {
	if !brings(ctx) {
		return
	}
	b.queue.Queue("SELECT s.sub, p.value FROM ("+key+") s LEFT JOIN people p ON p.key = s.sub", arg).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var sub, value []byte
			if err := rows.Scan(&sub, &value); err != nil {
				return err
			}
			bring(ctx, at(&record.People, sub), value)
		}
		return rows.Err()
	})
}

// bringForeseen has a read bring along the users that were foreseen.
func (b *batch) bringForeseen(ctx context.Context) {
	for _, p := range foreseen(ctx) {
		b.bringPerson(ctx, "SELECT $1::bytea AS sub", []byte(p.key))
	}
}

// owners are the users to whom the spellings of a number lead, in the order of
// record.Sealer.NumberKeys.
type owners struct {
	keys   [][]byte
	subs   []string // "": none
	people map[string]*subject.Person
	// What one of them loses with the number; nil in a guess.
	sessions *[]session.Session
	grants   *[]grant.Grant
	end      func(match func(grant.Grant) bool)
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
func (t *txn) lockNumber(n phone.Number) *owners {
	if t.guesses {
		return t.guessNumber(n)
	}
	b := &t.batch
	var sorted [][]byte
	for _, key := range b.s.sealer.NumberKeys(n) {
		sorted = append(sorted, key[:])
	}
	slices.SortFunc(sorted, bytes.Compare)
	b.run("INSERT INTO numbers (key, sub, value) SELECT key, '', '' FROM unnest($1::bytea[]) AS key ON CONFLICT DO NOTHING", sorted)
	b.all(len(sorted), "SELECT FROM numbers WHERE key = ANY($1) ORDER BY key FOR UPDATE", sorted)
	o := b.owners(n, " FOR NO KEY UPDATE")
	const theirs = "sub IN (SELECT sub FROM numbers WHERE key = ANY($1) AND sub <> '')"
	o.sessions = t.sessionsWhere(theirs, sorted, func(session.Session) bool { return true })
	o.grants, o.end = t.grantsWhere(theirs, sorted)
	return o
}

// guessNumber is lockNumber for a guess, which is made for numbers of one spelling.
func (t *txn) guessNumber(n phone.Number) *owners {
	o := &owners{people: map[string]*subject.Person{}}
	for _, key := range t.s.sealer.NumberKeys(n) {
		o.keys = append(o.keys, key[:])
	}
	o.subs = make([]string, len(o.keys))
	if len(o.keys) != 1 {
		t.unknown = true
		return o
	}
	if !*t.row(&record.Numbers, (*record.Text)(&o.subs[0]), o.keys[0]) {
		return o
	}
	p := &subject.Person{}
	if !*t.row(&record.People, (*record.Person)(p), []byte(o.subs[0])) {
		t.unknown = true
	}
	o.people[o.subs[0]] = p
	return o
}

// foreseeOwner has the memory learn whom a number belongs to, for the approval of an
// attempt with it.
func (t *txn) foreseeOwner(n phone.Number) {
	keys := t.s.sealer.NumberKeys(n)
	if len(keys) != 1 {
		return
	}
	number := at(&record.Numbers, keys[0][:])
	if _, known := t.s.memory.get(number); known { // and if it is out of date, that is found
		return
	}
	after := t.s.memory.now(number)
	t.queue.Queue(`SELECT n.value, n.sub, p.value FROM (SELECT 1) one LEFT JOIN numbers n ON n.key = $1 LEFT JOIN people p ON p.key = n.sub`,
		keys[0][:]).QueryRow(func(row pgx.Row) error {
		var value, sub, person []byte
		if err := row.Scan(&value, &sub, &person); err != nil {
			return err
		}
		t.s.memory.put(number, value, after)
		if person != nil {
			t.s.memory.put(at(&record.People, sub), person, after)
		}
		return nil
	})
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
func (t *txn) putPerson(p subject.Person, o *owners) error {
	t.put("SELECT refuse_deleted($1)", t.s.tombstone(p.Sub))
	t.storePerson(p)
	for i, key := range o.keys {
		today, owner := i == 0, o.subs[i]
		if before := o.people[owner]; owner != "" && owner != p.Sub && before != nil && !before.NumberLost {
			if err := t.loseNumber(*before, o); err != nil {
				return err
			}
			before.NumberLost = true // also where another spelling leads to them
		}
		switch {
		case today && owner != p.Sub:
			value := t.s.sealer.Seal(&record.Numbers, key, never, (*record.Text)(&p.Sub))
			if t.absent(&record.Numbers, key) {
				t.put("INSERT INTO numbers (key, sub, value) VALUES ($1, $2, $3)", key, []byte(p.Sub), value)
			} else {
				t.put("UPDATE numbers SET sub = $2, value = $3 WHERE key = $1", key, []byte(p.Sub), value)
			}
			t.learn(&record.Numbers, key, value)
		case !today:
			t.put("DELETE FROM numbers WHERE key = $1", key)
		}
	}
	return nil
}

// keepNumber undoes lockNumber where no user gets the number.
func (t *txn) keepNumber(o *owners) {
	for i, key := range o.keys {
		if o.subs[i] == "" && !t.guesses {
			t.put("DELETE FROM numbers WHERE key = $1", key)
		}
	}
}

func (t *txn) storePerson(p subject.Person) {
	key := []byte(p.Sub)
	value := t.s.sealer.Seal(&record.People, key, never, (*record.Person)(&p))
	t.put("INSERT INTO people (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value", key, value)
	t.learn(&record.People, key, value)
}

// tombstone returns the key of what remains of a deleted user.
func (s *Store) tombstone(sub string) []byte {
	key := s.sealer.DeletedKey(sub)
	return key[:]
}

// living queues what keeps a user from being deleted before the transaction ends, and
// ends it if the user was deleted. An operation that adds a record to a user does so first. It is
// read, or written in a guess.
func (t *txn) living(sub string) {
	switch {
	case sub == "" || slices.Contains(t.lives, sub):
		return
	case t.guesses:
		t.put("SELECT living($1, $2)", []byte(sub), t.s.tombstone(sub))
	default:
		t.run("SELECT living($1, $2)", []byte(sub), t.s.tombstone(sub))
	}
	t.lives = append(t.lives, sub)
}

// putLiving is living among what is written.
func (t *txn) putLiving(sub string) {
	if sub != "" && !slices.Contains(t.lives, sub) {
		t.put("SELECT living($1, $2)", []byte(sub), t.s.tombstone(sub))
		t.lives = append(t.lives, sub)
	}
}

// lockPerson queues what keeps a user from getting records until the transaction ends.
func (b *batch) lockPerson(sub string) {
	b.run("SELECT FROM people WHERE key = $1 FOR UPDATE", []byte(sub))
}

var errNoNumber = fmt.Errorf("postgres: a user cannot be bound to no number")

// ImportPerson implements admin.People.
func (s *Store) ImportPerson(ctx context.Context, p subject.Person, dryRun bool) (added bool, err error) {
	err = s.write(ctx, func(t *txn) error {
		o := t.lockNumber(p.Number)
		known := &subject.Person{}
		exists := t.person(known, p.Sub, " FOR NO KEY UPDATE")
		t.run("SELECT refuse_deleted($1)", t.s.tombstone(p.Sub))
		if err := t.look(); err != nil {
			return err
		}
		byNumber, err := o.person()
		if err != nil {
			return err
		}
		var bySub *subject.Person
		if *exists {
			bySub = known
		}
		if added, err = subject.Import(p, bySub, byNumber); err != nil {
			return err
		}
		if !added || dryRun {
			t.keepNumber(o)
			return nil
		}
		return t.putPerson(p, o)
	})
	return added && err == nil, err
}

// RecycleNumber implements admin.People.
func (s *Store) RecycleNumber(ctx context.Context, n phone.Number, since time.Time) (subject.Person, error) {
	defer s.wakeNotices()
	return update(ctx, s, func(t *txn) (subject.Person, error) {
		o := t.lockNumber(n)
		if err := t.look(); err != nil {
			return subject.Person{}, err
		}
		p, err := o.person()
		switch {
		case err != nil:
			return subject.Person{}, err
		case p == nil:
			return subject.Person{}, subject.ErrNotFound
		}
		if err := subject.Recycled(*p, since); err != nil {
			return subject.Person{}, err
		}
		if err := t.loseNumber(*p, o); err != nil {
			return subject.Person{}, err
		}
		for i, key := range o.keys { // another spelling may be another user's
			if o.subs[i] == p.Sub {
				t.put("DELETE FROM numbers WHERE key = $1", key)
				t.learn(&record.Numbers, key, nil)
			}
		}
		return *p, nil
	})
}
