package platform

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func FuzzParseJDBCNamesADatabaseOrSaysWhyNot(f *testing.F) {
	for _, text := range []string{
		"jdbc:mysql://db:3306/tower?useSSL=false", "jdbc:mariadb://[::1]:1/t", "jdbc:mysql://user:p@ss@db/tower%20x?sslMode=VERIFY_CA", "jdbc:mysql://a,b/t", "jdbc:mysql://(host=a)/t", "jdbc:mysql://db:0/t", "", "jdbc:mysql:///t",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		database, why := parseJDBC(text)
		if why != "" {
			assert.Zero(t, database)
			return
		}
		assert.NotEmpty(t, database.Host)
		assert.NotEmpty(t, database.Name)
		assert.Contains(t, []string{"disabled", "preferred", "required", "verify-ca"}, database.TLS)
		assert.True(t, database.Port >= 1 && database.Port <= 65535, database.Port)
		assert.NotContains(t, database.Host, "@", "what stands before it is a login")
	})
}
