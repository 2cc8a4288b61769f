// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"calleridp/storage/record"

	"github.com/jackc/pgx/v5"
)

// A transaction that knows what it would read is one round trip. It guesses: its
// operation decides by the rows that the memory has, and everything is sent at once. The
// database locks each of these rows and compares it with the guess (as_guessed) before
// anything is written. If one differs, nothing has happened, and the operation runs again
// and reads.

// errGuess says that an operation cannot guess, because it needs more than the memory has.
var errGuess = errors.New("postgres: the memory does not have what is needed")

// guessed is a row by which a transaction has decided without reading it.
type guessed struct {
	place
	value []byte // nil: there is no row
}

// row reads a row of one record and locks it. In a guess it is the one that the memory
// has.
func (t *txn) row(k *record.Kind, into record.Record, key []byte) (found *bool) {
	if !t.guesses {
		return t.rowOf(k, into, key, " FOR UPDATE")
	}
	found = new(bool)
	value, exists := t.guess(k, key)
	if !exists {
		return found
	}
	if t.s.expired(value) || t.s.sealer.Open(k, key, value, into) != nil {
		t.unknown = true
		return found
	}
	*found = true
	return found
}

// guess returns a row as the memory has it, and has the database check it. Where the
// memory has nothing, the operation does not guess.
func (t *txn) guess(k *record.Kind, key []byte) (value []byte, exists bool) {
	p := at(k, key)
	for _, g := range t.guards { // the memory may have another one by now, which is not checked
		if g.place == p {
			return g.value, g.value != nil
		}
	}
	row, known := t.s.memory.get(p)
	if !known {
		t.unknown = true
		return nil, false
	}
	t.guards = append(t.guards, guessed{p, row.value})
	return row.value, row.value != nil
}

// guessedOf reports whether the transaction has guessed a row, and whether it exists.
func (t *txn) guessedOf(k *record.Kind, key []byte) (exists, is bool) {
	p := at(k, key)
	for _, g := range t.guards {
		if g.place == p {
			return g.value != nil, true
		}
	}
	return false, false
}

// absent reports whether the transaction has guessed that there is no such row.
func (t *txn) absent(k *record.Kind, key []byte) bool {
	exists, is := t.guessedOf(k, key)
	return is && !exists
}

// lockOrder is the order in which transactions lock rows of these tables. Those of a new
// attempt or client are the exception: it has none to lock, and locks limits first.
var lockOrder = []string{"meta", "signing_keys", "device_requests", "initial_tokens", "clients", "callback_secrets", "attempts", "forms", "numbers", "people", "consents",
	"sessions", "codes", "grants", "access_tokens", "known", "assertions", "limits", "deliveries", "streams", "receivers", "notices", "removed_subjects", "funnel", "api_keys", "requests", "deleted", "audit_heads", "outcomes"}

// statement is what is known of one of ours by its text.
type statement struct {
	rank   int  // of its table in lockOrder
	update bool // it changes rows that the transaction has locked or guessed
	place  bool // it makes one row in limits, whose key is its first argument
}

var statements sync.Map // by text

func statementOf(sql string) statement {
	if known, ok := statements.Load(sql); ok {
		return known.(statement)
	}
	st := statement{rank: len(lockOrder), update: strings.HasPrefix(sql, "UPDATE ")}
	before := "FROM "
	switch {
	case st.update:
		before = "UPDATE "
	case strings.HasPrefix(sql, "INSERT "):
		before = "INTO "
	}
	_, table, _ := strings.Cut(sql, before)
	switch table, _, _ = strings.Cut(table, " "); {
	case strings.HasPrefix(sql, "SELECT living("):
		table = "people"
	case strings.HasPrefix(sql, "SELECT refuse_deleted("):
		table = "deleted"
	case strings.HasPrefix(sql, "SELECT settle_delivery("):
		table = "deliveries"
	}
	if i := slices.Index(lockOrder, table); i >= 0 {
		st.rank = i
	}
	st.place = sql == insertLimit
	statements.Store(sql, st)
	return st
}

// ordered returns what the transaction writes, with the guards of what it has guessed, so
// that rows are locked in lockOrder. Changes of rows that are locked by then come last.
func (t *txn) ordered() *pgx.Batch {
	b := &pgx.Batch{}
	guards := slices.Clone(t.guards)
	rank := func(g guessed) int { return slices.Index(lockOrder, g.table) }
	slices.SortStableFunc(guards, func(a, b guessed) int {
		return cmp.Or(rank(a)-rank(b), strings.Compare(a.key, b.key))
	})
	guard := func(first func(guessed) bool) {
		n := 0
		for n < len(guards) && first(guards[n]) {
			n++
		}
		queueGuards(b, guards[:n])
		guards = guards[n:]
	}
	writes := slices.Clone(t.writes.QueuedQueries)
	slices.SortStableFunc(writes, func(a, b *pgx.QueuedQuery) int {
		x, y := statementOf(a.SQL), statementOf(b.SQL)
		if x.update != y.update {
			if x.update {
				return 1
			}
			return -1
		}
		if order := x.rank - y.rank; order != 0 || !x.place && !y.place {
			return order
		}
		return comparePlaces(a, b, x, y)
	})
	all := func(guessed) bool { return true }
	for _, w := range writes {
		switch st := statementOf(w.SQL); {
		case st.update:
			guard(all)
		case st.place: // others lock rows in limits in the order of their keys, absent or not
			key := string(w.Arguments[0].([]byte))
			guard(func(g guessed) bool { return rank(g) < st.rank || rank(g) == st.rank && g.key <= key })
		default:
			guard(func(g guessed) bool { return rank(g) <= st.rank })
		}
		b.QueuedQueries = append(b.QueuedQueries, w)
	}
	guard(all)
	return b
}

// comparePlaces orders statements of one table: first those that make a place, by its key.
func comparePlaces(a, b *pgx.QueuedQuery, x, y statement) int {
	switch {
	case x.place && y.place:
		return bytes.Compare(a.Arguments[0].([]byte), b.Arguments[0].([]byte))
	case x.place:
		return -1
	}
	return 1
}

// queueGuards queues one statement that locks rows, in this order, and ends the
// transaction if one is not as it was guessed.
func queueGuards(b *pgx.Batch, guards []guessed) {
	if len(guards) == 0 {
		return
	}
	var conditions []string
	var args []any
	for _, g := range guards {
		args = append(args, []byte(g.key))
		if g.value == nil {
			conditions = append(conditions, fmt.Sprintf("NOT EXISTS (SELECT FROM %s WHERE key = $%d)", g.table, len(args)))
			continue
		}
		args = append(args, g.value)
		conditions = append(conditions, fmt.Sprintf("EXISTS (SELECT FROM %s WHERE key = $%d AND value = $%d FOR UPDATE)", g.table, len(args)-1, len(args)))
	}
	b.Queue("SELECT as_guessed("+strings.Join(conditions, " AND ")+")", args...)
}

// learn has a row remembered once the transaction is committed; a nil value is that there
// is none.
func (t *txn) learn(k *record.Kind, key, value []byte) {
	p := at(k, key)
	t.learnt = append(t.learnt, lesson{place: p, value: bytes.Clone(value), after: t.s.memory.now(p)})
}

// lesson is what a transaction has left of a row.
type lesson struct {
	place
	value   []byte
	after   moment
	created bool
}

// remember ends a transaction for the memory.
func (t *txn) remember(committed bool) {
	for _, l := range t.learnt {
		if committed {
			t.s.memory.put(l.place, l.value, l.after)
			if l.created {
				t.s.memory.creates(l.place)
			}
		} else {
			t.s.memory.forget(l.place)
		}
	}
	if !committed {
		for _, g := range t.guards {
			t.s.memory.forget(g.place)
		}
	}
}
