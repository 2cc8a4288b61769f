// SPDX-License-Identifier: Apache-2.0

package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calleridp/provider/consent"
	"calleridp/provider/grant"
	"calleridp/provider/limit"
	"calleridp/provider/login"
	"calleridp/provider/redact"
	"calleridp/provider/session"
	"calleridp/provider/subject"
	"calleridp/storage/storagetest"
	"calleridp/truecaller/phone"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What one process remembers and another has changed since decides nothing (invariants 7
// and 9): each change is made by the second store before the first one guesses.
func TestWrongGuesses(t *testing.T) {
	for _, isolation := range []Isolation{ReadCommitted, Serializable} {
		t.Run(isolation.String(), func(t *testing.T) {
			o := Options{DSN: redact.Text(database(t)), Isolation: isolation}
			s, other := open(t, o), open(t, o)
			ctx, now := t.Context(), time.Now()
			number, err := phone.FromDigits("46701740600")
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			lock := limit.Key{Kind: limit.Lock, ID: number.Digits()}
			create := func() login.Attempt {
				t.Helper()
				n++
				a := newAttempt()
				a.Number, a.ClientID = number, "shop"
				spend := limit.Spend{Lock: lock, LockFor: time.Minute}
				if err := errors.Join(s.ClearLimits(ctx, lock), s.CreateAttempt(ctx, a, spend, now)); err != nil {
					t.Fatal(err)
				}
				return a
			}
			approve := func(s *Store, id login.ID) (login.Approval, error) {
				return s.ApproveAttempt(ctx, id, number, func(a login.Attempt, known *subject.Person) (login.Approval, error) {
					if a.State == login.Approved {
						return login.Approval{}, login.ErrState
					}
					person := subject.Person{Sub: fmt.Sprint("sub", n), Number: number, Created: now}
					if known != nil {
						person = *known
					}
					a.State, a.Sub = login.Approved, person.Sub
					return login.Approval{Attempt: a, Person: person, Effects: login.Effects{Unlock: true}}, nil
				})
			}
			finish := func(s *Store, id login.ID) (login.SignIn, error) {
				return s.FinishAttempt(ctx, id, func(a login.Attempt, _ *consent.Consent) (login.SignIn, error) {
					if a.State != login.Approved {
						return login.SignIn{}, login.ErrState
					}
					a.State = login.Done
					sid := fmt.Sprint("sid", n)
					code := grant.Code{Hash: grant.CodeHash{byte(n)}, Expires: now.Add(time.Minute), Grant: grant.Grant{
						ID: fmt.Sprint("g", n), Sub: a.Sub, SID: sid, ClientID: "shop", Created: now, Expires: now.Add(time.Minute)}}
					return login.SignIn{Attempt: a, Code: code, Session: session.Session{
						ID: sid, Secret: [32]byte{byte(n)}, Sub: a.Sub, Created: now, Expires: now.Add(time.Minute)}}, nil
				})
			}
			use := func(s *Store) (grant.Redemption, error) {
				return s.UseCode(ctx, grant.CodeHash{byte(n)}, func(c grant.Code, _ *grant.Grant) grant.Redemption {
					if c.Redeemed {
						return grant.Redemption{Refused: grant.ErrReused}
					}
					c.Redeemed = true
					return grant.Redemption{Code: &c, Grant: &c.Grant}
				})
			}
			rotate := func(s *Store, by uint32) (generation uint32, err error) {
				r, err := s.UseGrant(ctx, fmt.Sprint("g", n), func(g grant.Grant) grant.Redemption {
					g.Generation += by
					return grant.Redemption{Grant: &g}
				})
				if err != nil {
					return 0, err
				}
				return r.Grant.Generation, nil
			}
			want := func(what string, got, want error) {
				t.Helper()
				if !errors.Is(got, want) {
					t.Errorf("%s: got %v, want %v", what, got, want)
				}
			}

			first := create()
			_, err = approve(other, first.ID)
			want("approving", err, nil)
			_, err = approve(s, first.ID)
			want("approving what the other has approved", err, login.ErrState)

			// The first user of the number, as far as the first store remembers.
			second := create()
			approval, err := approve(s, second.ID)
			want("approving a number that the other has bound", err, nil)
			if approval.Person.Sub != "sub1" {
				t.Errorf("the number is now %s's, want that it stays sub1's", approval.Person.Sub)
			}
			_, err = finish(other, second.ID)
			want("finishing", err, nil)
			_, err = finish(s, second.ID)
			want("finishing what the other has finished", err, login.ErrState)

			third := create()
			_, err = approve(s, third.ID)
			want("approving", err, nil)
			_, err = finish(s, third.ID)
			want("finishing", err, nil)
			_, err = use(other)
			want("using a code", err, nil)
			used, err := use(s)
			want("using it again", errors.Join(err, used.Refused), grant.ErrReused)

			for i, by := range []uint32{1, 10, 100} {
				if _, err := s.Grant(ctx, fmt.Sprint("g", n)); err != nil {
					t.Fatal(err)
				}
				before := s.Stats().Trips
				_, err := rotate(other, by)
				want("rotating", err, nil)
				all, err := rotate(s, by)
				if sum := []uint32{2, 22, 222}[i]; err != nil || all != sum {
					t.Errorf("rotated to %d, %v, want %d", all, err, sum)
				}
				if trips := s.Stats().Trips - before; trips != 4 { // the guess, its end, and two that read and write
					t.Errorf("a wrong guess is %d round trips, want 4", trips)
				}
			}

			// A user who is deleted gets nothing.
			fourth := create()
			_, err = approve(s, fourth.ID)
			want("approving", err, nil)
			want("deleting", other.DeletePerson(ctx, "sub1"), nil)
			_, err = finish(s, fourth.ID)
			want("finishing a deleted user's attempt", err, subject.ErrNotFound)
			fifth := create()
			approval, err = approve(s, fifth.ID)
			want("approving a deleted user's number", err, nil)
			if approval.Person.Sub == "sub1" {
				t.Error("a deleted user has signed in")
			}
		})
	}
}

// locks records the statements of each transaction, and finds those that lock rows in
// another order than lockOrder.
type locks struct {
	mu    sync.Mutex
	open  map[*pgx.Conn][]string
	wrong map[string]bool
	all   int
}

func (l *locks) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	l.note(conn, data.SQL)
	return ctx
}
func (*locks) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (l *locks) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		l.note(conn, q.SQL)
	}
	return ctx
}
func (*locks) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*locks) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

func (l *locks) note(conn *pgx.Conn, sql string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case strings.HasPrefix(sql, "BEGIN"):
		l.open[conn] = []string{}
	case l.open[conn] == nil:
	case sql == "COMMIT":
		l.check(l.open[conn])
		delete(l.open, conn)
	default:
		l.open[conn] = append(l.open[conn], sql)
	}
}

var (
	lockedTable = regexp.MustCompile(`(?s)FROM ([a-z_]+)\b[^()]*(?:\(SELECT[^()]*\))?[^()]*FOR (?:UPDATE|NO KEY UPDATE|SHARE|KEY SHARE)`)
	joinedLimit = regexp.MustCompile(`JOIN limits l`)
)

// lockedBy returns the tables of which a statement locks rows that others may have
// locked, in its order. An UPDATE is of rows that are locked, and so is what comes after
// the first statement that locks rows of a table.
func lockedBy(sql string) []string {
	var tables []string
	sql = strings.ReplaceAll(sql, "($1)", "")
	switch {
	case strings.HasPrefix(sql, "SELECT living("):
		return []string{"people"}
	case joinedLimit.MatchString(sql):
		return []string{"limits"}
	case strings.HasPrefix(sql, "SELECT"):
		for _, m := range lockedTable.FindAllStringSubmatch(sql, -1) {
			tables = append(tables, m[1])
		}
	case strings.HasPrefix(sql, "INSERT INTO attempts"), strings.HasPrefix(sql, "INSERT INTO clients"): // a new key is nobody else's
	case strings.HasPrefix(sql, "INSERT"), strings.HasPrefix(sql, "DELETE"):
		if st := statementOf(sql); st.rank < len(lockOrder) {
			return []string{lockOrder[st.rank]}
		}
		return []string{"a table that is not in lockOrder"}
	}
	return tables
}

func (l *locks) check(statements []string) {
	var order []string
	for _, sql := range statements {
		for _, table := range lockedBy(sql) {
			if !slices.Contains(order, table) {
				order = append(order, table)
			}
		}
	}
	l.all++
	if !slices.IsSortedFunc(order, func(a, b string) int { return slices.Index(lockOrder, a) - slices.Index(lockOrder, b) }) {
		l.wrong[strings.Join(order, ", ")] = true
	}
}

// Two transactions never wait for each other, because all lock rows in one order.
func TestLockOrder(t *testing.T) {
	l := &locks{open: map[*pgx.Conn][]string{}, wrong: map[string]bool{}}
	storagetest.Run(t, func(t *testing.T) storagetest.Place {
		dsn := database(t)
		return func(t *testing.T) storagetest.Engine {
			return open(t, Options{DSN: redact.Text(dsn), trace: l, Tells: storagetest.Tells})
		}
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for order := range l.wrong {
		t.Errorf("a transaction locks rows in this order: %s; want that of lockOrder", order)
	}
	if l.all == 0 {
		t.Error("no transaction was seen")
	}
}

// A row in limits that a guess makes is locked in the order of the keys, as everybody locks
// them there.
func TestAGuessMakesRowsInOrder(t *testing.T) {
	s := open(t, Options{DSN: redact.Text(database(t))})
	g := &txn{batch: batch{s: s}, guesses: true}
	for key, value := range map[string][]byte{"a": {1}, "b": nil, "c": {1}, "d": nil, "e": {1}} {
		g.guards = append(g.guards, guessed{place{"limits", key}, value})
	}
	g.guards = append(g.guards, guessed{place{"people", "z"}, []byte{1}})
	g.put("DELETE FROM limits WHERE key = $1", []byte("a"))
	g.put("UPDATE limits SET value = $2, expires = $3 WHERE key = $1", []byte("c"))
	for _, key := range []string{"d", "b"} {
		g.put(insertLimit, []byte(key), []byte{2}, time.Now())
	}
	var got []string
	for _, q := range g.ordered().QueuedQueries {
		verb, _, _ := strings.Cut(q.SQL, " ")
		for _, arg := range q.Arguments {
			if key, ok := arg.([]byte); ok && len(key) == 1 && key[0] >= 'a' {
				verb += " " + string(key)
			}
		}
		got = append(got, verb)
	}
	if want := []string{"SELECT z a b", "INSERT b", "SELECT c d", "INSERT d", "SELECT e", "DELETE a", "UPDATE c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A guess that has waited for a lock as long as anything may does not wait once more.
func TestAGuessWaitsOnce(t *testing.T) {
	for code, want := range map[string]bool{codeLockTimeout: false, "40P01": true, "40001": true, "CI003": true, codeCancelled: false} {
		if got := isOfGuess(&pgconn.PgError{Code: code, Severity: "ERROR"}); got != want {
			t.Errorf("%s: the operation runs again and reads: %v, want %v", code, got, want)
		}
	}
}
