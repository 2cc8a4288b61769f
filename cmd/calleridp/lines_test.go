package main

import (
	"fmt"
	"strings"
)

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
