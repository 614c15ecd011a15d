package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEachErrorCodeHasItsHeadingAndEachHeadingItsCode(t *testing.T) {
	page, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	source, err := os.ReadFile("rotation/fault.go")
	require.NoError(t, err)
	var codes, headings []string
	for _, match := range regexp.MustCompile(`Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		codes = append(codes, match[1])
	}
	for _, match := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(page), -1) {
		headings = append(headings, match[1])
	}
	require.NotEmpty(t, codes)
	assert.Equal(t, codes, headings)
}
