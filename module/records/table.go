package records

import (
	"bytes"
	"slices"
)

// head is what a row is found again by, and the last pass that saw it.
type head struct {
	name name
	seen uint32
}

// table is a table's rows in memory, in the order in which the database gave them: a pass that finds them unchanged compares
// each with the next and searches for none. It holds no pointers, so that the collector has nothing to look at.
type table[T any] struct {
	head  func(*T) *head
	rows  []T
	index []int32 // of rows, by name, as they were when the pass began; nil when rows were added or dropped since
	pass  uint32
	next  int
}

// begin starts a pass over the table.
func (r *table[T]) begin() {
	r.sort()
	r.pass++
	r.next = 0
}

// sort makes the index of all rows by name.
func (r *table[T]) sort() {
	if r.index != nil && len(r.index) == len(r.rows) {
		return
	}
	r.index = make([]int32, len(r.rows))
	for i := range r.index {
		r.index[i] = int32(i)
	}
	slices.SortFunc(r.index, func(a, b int32) int {
		one, other := &r.head(&r.rows[a]).name, &r.head(&r.rows[b]).name
		return bytes.Compare(one[:], other[:])
	})
}

// see finds a row that the pass came to; nil for one that was not known when it began.
func (r *table[T]) see(n name) *T {
	row := r.at(n)
	if row != nil {
		r.head(row).seen = r.pass
	}
	return row
}

func (r *table[T]) at(n name) *T {
	if r.next < len(r.rows) && r.head(&r.rows[r.next]).name == n {
		r.next++
		return &r.rows[r.next-1]
	}
	row, at := r.find(n)
	if row != nil {
		r.next = at + 1
	}
	return row
}

// find searches; it needs the index of begin or sort.
func (r *table[T]) find(n name) (*T, int) {
	i, ok := slices.BinarySearchFunc(r.index, n, func(at int32, n name) int {
		return bytes.Compare(r.head(&r.rows[at]).name[:], n[:])
	})
	if !ok {
		return nil, 0
	}
	return &r.rows[r.index[i]], int(r.index[i])
}

// add appends a row that the pass came to. It is valid until the next add.
func (r *table[T]) add(n name) *T {
	var row T
	r.rows = append(r.rows, row)
	added := &r.rows[len(r.rows)-1]
	*r.head(added) = head{n, r.pass}
	return added
}

// sweep drops the rows that the pass, which came to its end, did not see, and says how many.
func (r *table[T]) sweep() int {
	before := len(r.rows)
	r.rows = slices.DeleteFunc(r.rows, func(row T) bool { return r.head(&row).seen != r.pass })
	if len(r.rows) != before {
		r.index = nil
	}
	return before - len(r.rows)
}
