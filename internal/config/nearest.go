package config

import (
	"maps"
	"slices"
)

// maxCompared bounds the words that editDistance looks at: its time is the product of two lengths.
const maxCompared = 64

// sorted gives the names of keys in order.
func sorted(known keys) []string {
	return slices.Sorted(maps.Keys(known))
}

// editDistance counts the letters to insert, delete or replace to make b of a
// (Levenshtein); long words are infinitely far.
func editDistance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return maxCompared
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
