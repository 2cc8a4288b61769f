// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// quiet is how long the pages just wait, to see what that costs: the server
	// says something to each every fifteen seconds.
	quiet = 45 * time.Second
	// apart is the pause between two approvals that are measured one by one.
	apart = 50 * time.Millisecond
	// opening is how many pages are opened at a time.
	opening = 16
	// deciding is how many users approve at a time in the burst.
	deciding = 64
)

// waitingPages measures pages that wait over a live connection: what each costs,
// and how long an approval takes from the press on the phone to the event at its
// page. That is the simulated Truecaller's request to us, two commits, the
// request for the profile, and the event.
func waitingPages(ctx context.Context, o options) error {
	if err := enoughFiles(o.waiting); err != nil {
		return err
	}
	s, err := startServer(ctx, setup{binary: o.binary, methods: "push", byHand: true, tls: o.over != overPlain, postgres: o.database(), peer: o.storage == storagePostgres, deaf: o.deaf})
	if err != nil {
		return err
	}
	defer s.stop()
	a := newApp(s, "rs256")
	warm := make([]*page, o.warm) // so that nothing is counted that is made once
	if err := each(ctx, warm, opening, a.open); err != nil {
		return err
	}
	before, err := s.settled(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %s\n", "no page waits", before)

	then, err := s.live(ctx)
	if err != nil {
		return err
	}
	if s.database != nil {
		asked, err := s.asked(ctx)
		if err != nil {
			return err
		}
		if err := pause(ctx, quiet); err != nil {
			return err
		}
		if err := s.reportAsked(ctx, asked, "no page waits"); err != nil {
			return err
		}
	}

	pages := make([]*page, o.waiting)
	begun := time.Now()
	if err := each(ctx, pages, opening, a.open); err != nil {
		return err
	}
	opened := time.Since(begun)
	attempts, err := s.settled(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%-28s %s   after %.0f s\n", fmt.Sprintf("%d attempts, no page", len(pages)), attempts, opened.Seconds())

	watched := &watchers{over: o.over}
	defer watched.close()
	if err := each(ctx, pages, opening, func(ctx context.Context, at **page) error { return watched.watch(ctx, s, *at) }); err != nil {
		return err
	}
	asked, err := s.asked(ctx)
	if err != nil {
		return err
	}
	cpu, err := s.cpu()
	if err != nil {
		return err
	}
	waitingFor, stop := context.WithTimeout(ctx, quiet)
	defer stop()
	meanwhile := slices.Max(s.watchMemory(waitingFor))
	cpu2, err1 := s.cpu()
	if err := s.reportAsked(ctx, asked, fmt.Sprintf("%d pages wait", len(pages))); err != nil {
		return err
	}
	all, err2 := s.settled(ctx)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if o.heap != "" {
		if err := s.saveHeap(ctx, o.heap); err != nil {
			return err
		}
	}
	n := float64(len(pages))
	fmt.Printf("%-28s %s; %.1f MiB before the collection\n\n", fmt.Sprintf("%d pages wait", len(pages)), all, meanwhile)
	fmt.Printf("a waiting page: %.1f KiB, of which %.1f KiB are its attempt; %.1f us of CPU a second\n",
		(all.rss-before.rss)*1024/n, (attempts.rss-before.rss)*1024/n, (cpu2-cpu)*1e6/quiet.Seconds()/n)
	now, err := s.live(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("in use for each: %.1f KiB of heap, %.1f KiB of stacks\n\n",
		float64(now.heap-then.heap)/1024/n, float64(now.stacks-then.stacks)/1024/n)

	if err := s.findRequests(ctx, pages); err != nil {
		return err
	}
	rand.Shuffle(len(pages), func(i, j int) { pages[i], pages[j] = pages[j], pages[i] })
	few := pages[:min(o.approve, len(pages))]
	fmt.Println("from the approval to the page         p50      p90      p99      max   pages that heard")
	for _, p := range few {
		if err := a.approve(ctx, p); err != nil {
			return err
		}
		if err := pause(ctx, apart); err != nil {
			return err
		}
	}
	if err := report(ctx, "one by one", few); err != nil {
		return err
	}
	rest := pages[len(few):]
	begun = time.Now()
	if err := each(ctx, rest, deciding, func(ctx context.Context, at **page) error { return a.approve(ctx, *at) }); err != nil {
		return err
	}
	took := time.Since(begun)
	if err := report(ctx, "all others at once", rest); err != nil {
		return err
	}
	peak, err := s.memory("VmHWM")
	fmt.Printf("\nthe burst: %.0f approvals a second; peak memory %.1f MiB\n", float64(len(rest))/took.Seconds(), peak)
	return err
}

// enoughFiles reports whether n connections can be open here: each has one descriptor
// in the server and one in this process. The Go runtime raises the soft limit to the
// hard one in both.
func enoughFiles(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if need := uint64(n + 500); limit.Max < need {
		return fmt.Errorf("%d pages need %d open files in a process, and the limit is %d: raise it with ulimit -Hn, or let fewer wait", n, need, limit.Max)
	}
	return nil
}

// page is one browser that waits.
type page struct {
	phone, attempt, cookie string
	request                string // Truecaller's id

	approved time.Time
	heard    atomic.Int64 // Unix nanoseconds; 0: not yet
}

// open makes an attempt in a new browser.
func (a *app) open(ctx context.Context, at **page) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := *a.http
	browser.Jar = jar
	p := &page{phone: newNumber()}
	if p.attempt, err = a.submit(ctx, &browser, p.phone, strings.Repeat("v", 43)); err != nil {
		return err
	}
	issuer, err := url.Parse(a.issuer)
	if err != nil {
		return err
	}
	for _, c := range jar.Cookies(issuer) {
		p.cookie += c.Name + "=" + c.Value + "; "
	}
	*at = p
	return nil
}

// How pages wait.
const (
	overPlain = "http/1.1"
	overTLS   = "tls"
	overHTTP2 = "h2"
)

// watchers are the live connections of pages.
type watchers struct {
	over  string
	mu    sync.Mutex
	conns []io.Closer
}

func (w *watchers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		conn.Close()
	}
}

// watch opens the live connection of a page, and returns when the first event
// has come.
func (w *watchers) watch(ctx context.Context, s *server, p *page) error {
	connect := s.connect
	if w.over == overHTTP2 {
		connect = s.stream
	}
	conn, err := connect(ctx, p)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.conns = append(w.conns, conn)
	w.mu.Unlock()
	lines := bufio.NewReaderSize(conn, 1024)
	if state, err := nextEvent(lines); err != nil {
		return fmt.Errorf("the live connection of %s: %w", p.attempt, err)
	} else if state != "waiting" {
		return fmt.Errorf("%s is %s before the approval", p.attempt, state)
	}
	go func() {
		for {
			switch state, err := nextEvent(lines); {
			case err != nil:
				return
			case state == "approved":
				p.heard.Store(time.Now().UnixNano())
				return
			}
		}
	}()
	return nil
}

// connect requests the events of a page over HTTP/1.1, and returns the connection.
func (s *server) connect(ctx context.Context, p *page) (io.ReadCloser, error) {
	at, err := url.Parse(s.waitAt)
	if err != nil {
		return nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, err
	}
	if s.roots != nil {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.roots, ServerName: at.Hostname()})
	}
	_, err = fmt.Fprintf(conn, "GET %s/events HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\nCookie: %s\r\n\r\n",
		p.attempt, at.Host, strings.TrimSuffix(p.cookie, "; "))
	return conn, err
}

// stream requests them over an HTTP/2 connection of its own, as each browser has one,
// and returns the response.
func (s *server) stream(ctx context.Context, p *page) (io.ReadCloser, error) {
	ctx = context.WithoutCancel(ctx) // it lasts longer than the opening of all pages
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.issuer+p.attempt+"/events", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Cookie", strings.TrimSuffix(p.cookie, "; "))
	response, err := s.client(true).Do(r)
	if err != nil {
		return nil, err
	}
	if response.ProtoMajor != 2 {
		return nil, fmt.Errorf("%s came over %s", r.URL, response.Proto)
	}
	return response.Body, nil
}

// nextEvent returns the state in the next event.
func nextEvent(lines *bufio.Reader) (string, error) {
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		var event struct{ State string }
		if err := json.Unmarshal(data, &event); err != nil {
			return "", err
		}
		return event.State, nil
	}
}

// findRequests reads the pending requests of the simulated phones.
func (s *server) findRequests(ctx context.Context, pages []*page) error {
	body, _, err := do(ctx, http.DefaultClient, http.MethodGet, s.truecaller+"/sim/requests", nil, "")
	if err != nil {
		return err
	}
	var open []struct{ RequestID, Phone string }
	if err := json.Unmarshal(body, &open); err != nil {
		return err
	}
	byPhone := map[string]string{}
	for _, request := range open {
		byPhone["+"+request.Phone] = request.RequestID
	}
	for _, p := range pages {
		if p.request = byPhone[p.phone]; p.request == "" {
			return fmt.Errorf("the phone %s shows nothing", p.phone)
		}
	}
	return nil
}

// approve is the press on the phone.
func (a *app) approve(ctx context.Context, p *page) error {
	p.approved = time.Now()
	_, _, err := do(ctx, a.http, http.MethodPost, a.truecaller+"/sim/requests/"+url.PathEscape(p.request)+"/approve", url.Values{}, "")
	return err
}

// report waits until all pages have heard, or nothing more comes, and prints how
// long each took.
func report(ctx context.Context, what string, pages []*page) error {
	var took []float64
	for before := -1; len(took) < len(pages) && len(took) > before; {
		before = len(took)
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
		took = took[:0]
		for _, p := range pages {
			if at := p.heard.Load(); at != 0 {
				took = append(took, time.Unix(0, at).Sub(p.approved).Seconds())
			}
		}
	}
	fmt.Printf("%-30s %s   %d of %d\n", what, percentiles(took), len(took), len(pages))
	return nil
}

// footprint is a server's memory in MiB: all of it, and what of it is neither
// the program nor the store's file.
type footprint struct{ rss, anonymous float64 }

func (f footprint) String() string {
	return fmt.Sprintf("%7.1f MiB, of which %7.1f MiB are heap and stacks", f.rss, f.anonymous)
}

// settled is the memory after a garbage collection, once the runtime has given
// back what it will.
func (s *server) settled(ctx context.Context) (f footprint, err error) {
	if _, _, err := do(ctx, http.DefaultClient, http.MethodGet, "http://"+s.debug+"/debug/pprof/heap?gc=1", nil, ""); err != nil {
		return f, err
	}
	for last := 0.0; ; last = f.rss {
		if err := pause(ctx, 2*time.Second); err != nil {
			return f, err
		}
		var err1, err2 error
		f.rss, err1 = s.memory("VmRSS")
		f.anonymous, err2 = s.memory("RssAnon")
		if err := errors.Join(err1, err2); err != nil {
			return f, err
		}
		if last != 0 && f.rss > last-0.5 {
			return f, nil
		}
	}
}

// live is what the server's memory is used for after a garbage collection, in bytes.
// The rest of its memory is what the runtime keeps for what comes next.
type live struct{ heap, stacks uint64 }

func (s *server) live(ctx context.Context) (l live, err error) {
	body, _, err := do(ctx, http.DefaultClient, http.MethodGet, "http://"+s.debug+"/debug/pprof/heap?gc=1&debug=1", nil, "")
	if err != nil {
		return l, err
	}
	_, text, _ := bytes.Cut(body, []byte("\n# Alloc = "))
	_, stack, _ := bytes.Cut(text, []byte("\n# Stack = "))
	_, err1 := fmt.Sscan(string(text), &l.heap)
	_, err2 := fmt.Sscan(string(stack), &l.stacks)
	return l, errors.Join(err1, err2)
}

// saveHeap writes a profile of what is in use.
func (s *server) saveHeap(ctx context.Context, file string) error {
	body, _, err := do(ctx, http.DefaultClient, http.MethodGet, "http://"+s.debug+"/debug/pprof/heap?gc=1", nil, "")
	if err != nil {
		return err
	}
	return os.WriteFile(file, body, 0o644)
}

// each runs work on every element, parallel at a time.
func each[T any](ctx context.Context, all []T, parallel int, work func(context.Context, *T) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := work(ctx, &all[i]); err != nil {
					stop(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
