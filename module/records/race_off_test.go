//go:build !race

package records

const (
	raced = false
	many  = 300
)
