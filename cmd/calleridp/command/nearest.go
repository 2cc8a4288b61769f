// SPDX-License-Identifier: Apache-2.0

package command

// Nearest returns the known name that is most like an unknown one, "" for none.
func Nearest(all []string, name string) string {
	best, least := "", min(4, len(name)/2+1) // with more edits it is another name
	for _, known := range all {
		if n := edits(name, known); n < least {
			best, least = known, n
		}
	}
	return best
}

// edits returns how many characters must be inserted, deleted or replaced to turn
// a into b (the Levenshtein distance).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
