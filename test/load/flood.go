// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// senders is the number of connections of the flood. Each sends a callback, waits for
// the response, and sends the next when it is due. The loop is closed, so that a slow
// server gets fewer callbacks. The program prints the rate that it reached.
const senders = 64

// flood measures the effect of bogus callbacks on a server: on its memory and on real
// sign-ins. Sign-ins go on at a small steady rate: on an idle server, during the same
// flood at a stub (the cost of sharing the machine with the sender), during the flood,
// and after it.
func flood(ctx context.Context, o options) error {
	s, err := startServer(ctx, setup{binary: o.binary, methods: "push, onetap"})
	if err != nil {
		return err
	}
	defer s.stop()
	stub, address, err := startStub(ctx)
	if err != nil {
		return err
	}
	defer func() { stub.Process.Kill(); stub.Wait() }()
	a := newApp(s, "rs256")
	if _, err := measure(ctx, s, 8, o.warm, a.signIn); err != nil {
		return err
	}
	fmt.Printf("%g sign-ins a second all the time, %d callbacks a second over %d connections\n\n", o.rate, o.flood, senders)
	fmt.Println("                 sign-ins  failed       p50      p90      p99      max   callbacks/s   CPU of server, sender   memory: first, last, peak        log")
	for _, p := range []phase{
		{"idle", "", o.idle, ""},
		{"flood elsewhere", address, o.idle, ""},
		{"flood", strings.TrimPrefix(s.issuer, "http://"), o.floodFor, o.profile},
		{"idle again", "", o.idle, ""},
	} {
		if err := s.measurePhase(ctx, a, p, o); err != nil {
			return err
		}
	}
	return nil
}

// phase is one line of the table.
type phase struct {
	name    string
	target  string // where the flood goes, host and port; "" for none
	length  time.Duration
	profile string // where to write a CPU profile, "" for none
}

func (s *server) measurePhase(ctx context.Context, a *app, p phase, o options) error {
	sending, stop := context.WithTimeout(ctx, p.length)
	defer stop()
	cpu, err := s.cpu()
	if err != nil {
		return err
	}
	own, logged, begun := ownCPU(), s.logSize(), time.Now()
	var sent tally
	background := make(chan error, 2)
	go func() {
		if p.target == "" {
			background <- nil
			return
		}
		background <- send(sending, p.target, o.flood, &sent)
	}()
	profiled := func() error { return nil }
	if p.profile != "" {
		profiled = s.profile(p.profile)
	}
	go func() { background <- profiled() }()
	memory := make(chan []float64, 1)
	go func() { memory <- s.watchMemory(sending) }()

	took, failed := a.steadily(ctx, sending, o.rate)
	whole := time.Since(begun).Seconds()
	cpu2, err := s.cpu()
	rss := <-memory
	if err := errors.Join(err, <-background, <-background); err != nil {
		return err
	}
	some := (len(rss) + 5) / 6
	fmt.Printf("%-16s %8d %7d  %s   %11.0f   %9.0f %%  %9.0f %%   %6.1f  %6.1f  %6.1f MiB   %6.2f MiB\n",
		p.name, len(took), failed, percentiles(took), float64(sent.all())/p.length.Seconds(),
		100*(cpu2-cpu)/whole, 100*(ownCPU()-own)/whole,
		mean(rss[:some]), mean(rss[len(rss)-some:]), slices.Max(rss), float64(s.logSize()-logged)/(1<<20))
	if p.profile != "" || p.name == "flood" {
		fmt.Printf("                 answers: %s\n", &sent)
	}
	return ctx.Err()
}

// startStub starts a process that responds to every request without a body.
func startStub(ctx context.Context) (*exec.Cmd, string, error) {
	stub := exec.CommandContext(ctx, os.Args[0], "stub")
	stub.Stderr = os.Stderr
	out, err := stub.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := stub.Start(); err != nil {
		return nil, "", err
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	return stub, strings.TrimSpace(address), err
}

// stub is that process.
func stub() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "load: stub:", err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	http.Serve(l, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// steadily begins rate sign-ins a second until sending is over, whether or not
// the earlier ones have ended, and returns how long each took, in seconds.
func (a *app) steadily(ctx, sending context.Context, rate float64) (took []float64, failed int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for {
		select {
		case <-sending.Done():
			wg.Wait()
			return took, failed
		case due := <-tick.C:
			wg.Go(func() {
				err := a.signIn(ctx)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
					fmt.Fprintln(os.Stderr, "load: a sign-in failed:", err)
					return
				}
				took = append(took, time.Since(due).Seconds())
			})
		}
	}
}

// send posts rate bogus callbacks a second to target until ctx ends.
func send(ctx context.Context, target string, rate int, sent *tally) error {
	failures := make(chan error, senders)
	for i := range senders {
		go func() {
			conn, err := net.Dial("tcp", target)
			if err != nil {
				failures <- err
				return
			}
			defer conn.Close()
			answers := bufio.NewReader(conn)
			gap := time.Second * senders / time.Duration(rate)
			due := time.Now().Add(gap * time.Duration(i) / senders)
			for n := i; ctx.Err() == nil; n++ {
				time.Sleep(time.Until(due))
				if due = due.Add(gap); time.Since(due) > time.Second {
					due = time.Now() // the server does not follow; nothing is made up for
				}
				if err := sent.post(conn, answers, bogus[n%len(bogus)]()); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	var all error
	for range senders {
		if err := <-failures; err != nil {
			all = err
		}
	}
	return all
}

const right = "/callback/default/" + callbackSecret

// bogus are the callbacks of the flood.
var bogus = []func() string{
	func() string { return post(right, `{"requestId":17,"accessToken":`) },
	func() string { return post(right, callback()) },
	func() string { return post(right, oneTapCallback()) },
	func() string { return post("/callback/default/"+random(32), callback()) },
	func() string { return post(right, nonsense) },
}

// callback returns a well-formed callback for no attempt.
func callback() string {
	return `{"requestId":"` + random(14) + `","state":"` + random(22)[:43] + `","accessToken":"` + random(32) + `"}`
}

// oneTapCallback is one that may have come before its attempt, so that it is
// remembered for a while.
func oneTapCallback() string {
	return `{"requestId":"` + random(22)[:43] + `","accessToken":"` + random(32) + `"}`
}

// nonsense is four kilobytes of good JSON that say nothing.
var nonsense = `{"x":[` + strings.Repeat(`{"a":[1,2.5e9,null,{"b":"text"}]},`, 120) + `0]}`

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func post(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

// tally counts responses by status.
type tally struct{ ok, malformed, notFound, other atomic.Int64 }

func (t *tally) post(conn net.Conn, answers *bufio.Reader, request string) error {
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, answer.Body)
	switch answer.StatusCode {
	case http.StatusOK:
		t.ok.Add(1)
	case http.StatusBadRequest:
		t.malformed.Add(1)
	case http.StatusNotFound:
		t.notFound.Add(1)
	default:
		t.other.Add(1)
	}
	return nil
}

func (t *tally) all() int64 {
	return t.ok.Load() + t.malformed.Load() + t.notFound.Load() + t.other.Load()
}

func (t *tally) String() string {
	return fmt.Sprintf("%d were 200 (unknown), %d were 400 (malformed), %d were 404 (guessed paths), %d others",
		t.ok.Load(), t.malformed.Load(), t.notFound.Load(), t.other.Load())
}

// watchMemory is the server's memory in MiB, each second until ctx ends.
func (s *server) watchMemory(ctx context.Context) (rss []float64) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if now, err := s.memory("VmRSS"); err == nil {
			rss = append(rss, now)
		}
		select {
		case <-ctx.Done():
			return rss
		case <-tick.C:
		}
	}
}

func (s *server) logSize() int64 {
	info, err := os.Stat(filepath.Join(s.dir, "log"))
	if err != nil {
		return 0
	}
	return info.Size()
}

func percentiles(took []float64) string {
	if len(took) == 0 {
		return strings.Repeat("       - ", 4)
	}
	sort.Float64s(took)
	var text strings.Builder
	for _, p := range []int{50, 90, 99, 100} {
		fmt.Fprintf(&text, " %5.1f ms", took[min(len(took)*p/100, len(took)-1)]*1000)
	}
	return text.String()
}

func mean(of []float64) float64 {
	sum := 0.0
	for _, v := range of {
		sum += v
	}
	return sum / float64(max(1, len(of)))
}
