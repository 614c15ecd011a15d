//go:build !race

package records

const many = 300
