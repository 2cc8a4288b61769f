// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"calleridp/cmd/calleridp/envtest"
	"calleridp/test/harness"

	"github.com/spf13/pflag"
)

// documents are those that tell users which commands to run.
var documents = []string{"../../*.md", "../../docs/*.md", "../../docs/operators/*.md", "../../docs/recipes/*.md", "../../examples/*/*.md", "../../deploy/*.md", "../../deploy/*/*.md"}

// Every command in the code blocks of the documents is one that the program takes: its
// words, its flags and the number of its arguments. So is every mention of a command in the
// text, which may leave arguments out.
func TestDocumentedCommandsExist(t *testing.T) {
	envtest.Clear(t)
	mention := regexp.MustCompile("`(calleridp [a-z][^`]*)`")
	lines, mentions := 0, 0
	for _, pattern := range documents {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, block := range harness.Blocks(string(text)) {
				for _, line := range block.Lines {
					line, ok := commandIn(line)
					if !ok {
						continue
					}
					lines++
					if err := parses(line); err != nil {
						t.Errorf("%s: %s: %v", file, line, err)
					}
				}
			}
			for _, m := range mention.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\n", " "), -1) {
				mentions++
				if err := exists(m[1]); err != nil {
					t.Errorf("%s: %s: %v", file, m[1], err)
				}
			}
		}
	}
	if lines < 40 || mentions < 40 {
		t.Errorf("got %d lines and %d mentions, want more", lines, mentions)
	}
}

// settings are variables of the environment before a command.
var settings = regexp.MustCompile(`^(?:[A-Z_]+=\S* )+`)

// commandIn returns the command of ours in a line of a shell.
func commandIn(line string) (command string, ok bool) {
	line = settings.ReplaceAllString(strings.TrimPrefix(strings.TrimSpace(line), "$ "), "")
	line = strings.Replace(line, "go run ./cmd/calleridp ", "calleridp ", 1)
	line, _, _ = strings.Cut(line, " > ")
	line, _, _ = strings.Cut(line, " 2>> ")
	line, _, _ = strings.Cut(line, " | ")
	return line, strings.HasPrefix(line, "calleridp ") && !strings.HasPrefix(line, "calleridp . ")
}

// exists reports what is wrong with a mention of a command: of a group or of one command,
// with flags that it has.
func exists(mention string) error {
	words := shellWords(strings.ReplaceAll(mention, "|", " "))
	c, rest, err := newRoot().Find(words[1:])
	if err != nil {
		return err
	}
	if c.HasSubCommands() && len(rest) > 0 {
		for _, word := range rest { // alternatives: keys list|rotate
			if member, _, err := c.Find([]string{word}); err != nil || member == c {
				return c.RunE(c, rest)
			}
		}
		return nil
	}
	err = c.ParseFlags(rest)
	if _, ok := errors.AsType[*pflag.ValueRequiredError](err); err == nil || ok { // a flag may be mentioned without its value
		return nil
	}
	return c.FlagErrorFunc()(c, err)
}

// parses reports what is wrong with a command line, as a shell reads it, without running
// the command.
func parses(line string) error {
	words := shellWords(line)
	if len(words) == 0 || words[0] != "calleridp" {
		return fmt.Errorf("it does not begin with calleridp")
	}
	c, rest, err := newRoot().Find(words[1:])
	if err != nil {
		return err
	}
	if c.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return c.RunE(c, rest)
	}
	if err := c.ParseFlags(rest); err != nil {
		return c.FlagErrorFunc()(c, err)
	}
	return c.ValidateArgs(c.Flags().Args())
}

// shellWords splits a line as a shell does: at spaces, but not within quotes, and up to
// a comment.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quote, open := rune(0), false
	for _, c := range strings.TrimSpace(line) {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, open = c, true
		case c == '#' && !open:
			return words
		case c == ' ':
			if open {
				words = append(words, word.String())
				word.Reset()
			}
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}
