// SPDX-License-Identifier: Apache-2.0

// Command mutation breaks the program in one place after the other, and lists the
// changes that no test of the same package, or of those in -also, notices.
//
//	go run ./test/mutation provider/token
//	go run ./test/mutation -also provider/token provider/grant
//	go run ./test/mutation -files 'refresh|policy' provider/token
//	go run ./test/mutation -every 10 provider/... | tee survivors
//	go run ./test/mutation -again survivors provider/...
//
// Nothing in the work tree changes: mutants are given to `go test` as an overlay. All
// of a package are built together, as alternatives between which the environment
// chooses; one that cannot be written so is built alone.
// known.txt lists the mutants that are known to survive, and why. See HACKING.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/build"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

const knownFile = "test/mutation/known.txt"

// what became of a mutant.
type what int

const (
	killed  what = iota // a test failed, or took too long
	unbuilt             // it is no Go program: there is nothing to notice
	survived
	known // not tried: known.txt says why it survives
)

func main() {
	var (
		files   = flag.String("files", "", "mutate only files whose path matches this regular `expression`")
		jobs    = flag.Int("jobs", max(1, runtime.NumCPU()/2), "run so many mutants at once")
		timeout = flag.Duration("timeout", time.Minute, "a mutant whose tests take longer is noticed")
		every   = flag.Int("every", 1, "take each `n`th mutant only")
		also    = flag.String("also", "", "run the tests of these `packages` too, separated by commas, if those of a mutant's own notice nothing")
		again   = flag.String("again", "", "take only the mutants that an earlier run has printed into this `file`")
		list    = flag.Bool("list", false, "list the mutants and run none")
	)
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./test/mutation [flags] package ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	r := runner{jobs: *jobs, every: *every, timeout: *timeout, list: *list}
	if *also != "" {
		r.also = strings.Split(*also, ",")
	}
	if *again != "" {
		text, err := os.ReadFile(*again)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutation:", err)
			os.Exit(1)
		}
		r.only = printed(string(text))
	}
	survivors, err := r.run(flag.Args(), *files)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
	if survivors > 0 {
		os.Exit(1)
	}
}

type runner struct {
	jobs, every int
	timeout     time.Duration
	also        []string
	list        bool
	only        map[string]bool // by mutant.key; nil: all
	dir         string          // of the mutants
	known       map[string]string
}

// run tries the mutants of every package.
func (r runner) run(patterns []string, files string) (survivors int, err error) {
	match, err := regexp.Compile(files)
	if err != nil {
		return 0, err
	}
	if r.known, err = readKnown(); err != nil {
		return 0, err
	}
	packages, err := expand(patterns)
	if err != nil {
		return 0, err
	}
	if r.dir, err = os.MkdirTemp("", "mutation"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(r.dir)
	for _, folder := range packages {
		all, sources, err := mutantsOf(folder, match)
		if err != nil {
			return survivors, err
		}
		var chosen []mutant
		if r.only != nil {
			all = slices.DeleteFunc(all, func(m mutant) bool { return !r.only[m.key()] })
		}
		for i := 0; i < len(all); i += r.every {
			chosen = append(chosen, all[i])
		}
		if r.list {
			for _, m := range chosen {
				fmt.Println(m)
			}
			continue
		}
		n, err := r.runPackage(folder, chosen, sources)
		survivors += n
		if err != nil {
			return survivors, err
		}
	}
	return survivors, nil
}

// runPackage tries the mutants of one package.
func (r runner) runPackage(folder string, chosen []mutant, sources map[string][]byte) (survivors int, err error) {
	if len(chosen) == 0 {
		return 0, nil
	}
	// A package whose tests fail by themselves would notice everything.
	tests := append([]string{folder}, r.also...)
	for _, with := range tests {
		if out, err := r.goTest(with, ""); err != nil {
			return 0, fmt.Errorf("%s: the tests fail without a change:\n%s", with, out)
		}
	}
	begun := time.Now()
	together, err := r.build(folder, chosen, sources, tests)
	if err != nil {
		return 0, err
	}
	count := map[what]int{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	queue := make(chan int)
	for range r.jobs {
		workers.Go(func() {
			for i := range queue {
				m := chosen[i]
				result := known
				if _, ok := r.known[m.key()]; !ok && together.has(i) {
					result = together.try(i)
				} else if !ok {
					result = r.try(i, m, sources[m.file], tests)
				}
				mu.Lock()
				if count[result]++; result == survived {
					fmt.Println(m)
				}
				mu.Unlock()
			}
		})
	}
	for i := range chosen {
		queue <- i
	}
	close(queue)
	workers.Wait()
	fmt.Printf("%s: %d noticed, %d known to survive, %d SURVIVED, %d do not build, %d built alone (%s)\n",
		folder, count[killed], count[known], count[survived], count[unbuilt], len(chosen)-len(together.member),
		time.Since(begun).Round(time.Second))
	return count[survived], nil
}

// try builds a mutant alone and runs tests against it until one notices it.
func (r runner) try(i int, m mutant, source []byte, tests []string) what {
	name := filepath.Join(r.dir, fmt.Sprintf("%d.go", i))
	overlay := filepath.Join(r.dir, fmt.Sprintf("%d.json", i))
	target, err := filepath.Abs(m.file)
	if err != nil {
		return unbuilt
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {target: name}})
	if err != nil {
		return unbuilt
	}
	if os.WriteFile(name, m.apply(source), 0o600) != nil || os.WriteFile(overlay, replace, 0o600) != nil {
		return unbuilt
	}
	for _, with := range tests {
		out, err := r.goTest(with, overlay)
		switch {
		case err == nil:
		case bytes.Contains(out, []byte("[build failed]")), bytes.Contains(out, []byte("[setup failed]")):
			return unbuilt
		default:
			return killed
		}
	}
	return survived
}

// goTest runs the tests of one package, of which the first failure is enough.
func (r runner) goTest(folder, overlay string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout+time.Minute) // building takes some of it
	defer cancel()
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout", r.timeout.String()}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./"+folder)...)
	// What the tests started ends with them, or is not waited for.
	cmd.WaitDelay = time.Second
	return cmd.CombinedOutput()
}

// expand returns the folders of packages, from the root of the module.
func expand(patterns []string) ([]string, error) {
	args := []string{"list", "-f", "{{.Dir}}"}
	for _, p := range patterns {
		args = append(args, "./"+strings.TrimPrefix(p, "./"))
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	root, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	var folders []string
	for dir := range strings.FieldsSeq(string(out)) {
		folder, err := filepath.Rel(root, dir)
		if err != nil {
			return nil, err
		}
		folders = append(folders, filepath.ToSlash(folder))
	}
	return folders, nil
}

// mutantsOf returns the mutants of a package, without those of its tests.
func mutantsOf(folder string, match *regexp.Regexp) (all []mutant, sources map[string][]byte, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, err
	}
	sources = map[string][]byte{}
	for _, entry := range entries {
		file := path.Join(folder, entry.Name())
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || !match.MatchString(file) {
			continue
		}
		if sources[file], err = os.ReadFile(file); err != nil {
			return nil, nil, err
		}
		// Of another system's file nothing is built.
		if built, err := build.Default.MatchFile(folder, entry.Name()); err != nil || !built {
			continue
		}
		of, err := mutants(file, sources[file])
		if err != nil {
			return nil, nil, err
		}
		all = append(all, of...)
	}
	return all, sources, nil
}

// printed returns the keys of the mutants in the output of a run.
func printed(output string) map[string]bool {
	keys := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^(\S+):\d+: .*\n    was (.*)\n    is  (.*)$`).FindAllStringSubmatch(output, -1) {
		keys[mutant{file: found[1], was: found[2], is: found[3]}.key()] = true
	}
	return keys
}

// readKnown reads known.txt: a mutant's key, then " # " and why it survives.
func readKnown() (map[string]string, error) {
	text, err := os.ReadFile(knownFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no %s; run this in the root of the module", knownFile)
	}
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for n, line := range slices.Collect(strings.Lines(string(text))) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, why, ok := strings.Cut(line, " # ")
		if !ok || strings.Count(key, " | ") < 2 {
			return nil, fmt.Errorf("%s:%d: want `file | was | is # why`", knownFile, n+1)
		}
		all[key] = why
	}
	return all, nil
}
