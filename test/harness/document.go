// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"regexp"
	"strings"
)

// Block is a block of code in a Markdown document: fenced, or indented by four spaces.
type Block struct {
	Line  int      // of its first line
	Lines []string // without the indentation of the block; see joined
}

// hereDocument finds the word that ends a here-document.
var hereDocument = regexp.MustCompile(`<<'?([A-Z]+)'?$`)

// Blocks returns the blocks of code of a document.
func Blocks(document string) []Block {
	var blocks []Block
	var block *Block
	fence, blank, indent := "", true, ""
	end := func() {
		if block != nil && len(block.Lines) > 0 {
			block.Lines = joined(block.Lines)
			blocks = append(blocks, *block)
		}
		block = nil
	}
	for i, line := range strings.Split(document, "\n") {
		text := strings.TrimLeft(line, " ")
		switch {
		case fence != "" && strings.HasPrefix(text, fence):
			fence = ""
			end()
		case fence != "":
			block.Lines = append(block.Lines, strings.TrimPrefix(line, indent))
		case strings.HasPrefix(text, "```"):
			end()
			fence, indent = "```", line[:len(line)-len(text)]
			block = &Block{Line: i + 2}
		case strings.HasPrefix(line, "    ") && (blank || block != nil):
			if block == nil {
				block = &Block{Line: i + 1}
			}
			block.Lines = append(block.Lines, strings.TrimPrefix(line, "    "))
		default:
			end()
		}
		blank = text == ""
	}
	end()
	return blocks
}

// joined joins, as a shell does, a line that ends in a backslash and the next, and a line
// with a here-document and that.
func joined(lines []string) []string {
	var whole []string
	open, end := false, ""
	for _, line := range lines {
		switch {
		case end != "":
			whole[len(whole)-1] += "\n" + line
			if line == end {
				end = ""
			}
			continue
		case open:
			whole[len(whole)-1] += " " + strings.TrimLeft(line, " ")
		default:
			whole = append(whole, line)
		}
		if here := hereDocument.FindStringSubmatch(line); here != nil {
			end = here[1]
		}
		last := &whole[len(whole)-1]
		*last, open = strings.CutSuffix(*last, `\`)
		*last = strings.TrimRight(*last, " ")
	}
	return whole
}
