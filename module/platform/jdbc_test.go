package platform

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

func TestTheURLOfTheDatabaseIsUnderstoodAsItsDriverDoes(t *testing.T) {
	tests := []struct {
		url  string
		host string
		port int
		name string
		tls  string
	}{
		{"jdbc:mysql://db:3306/tower", "db", 3306, "tower", "preferred"},
		{"jdbc:mysql://db/tower", "db", 3306, "tower", "preferred"},
		{"jdbc:mysql://db:3306/tower?permitMysqlScheme=true&sessionVariables=sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'", "db", 3306, "tower", "preferred"},
		{"jdbc:mariadb://db:3307/tower?permitMysqlScheme=true", "db", 3307, "tower", "preferred"},
		{"jdbc:mysql://tower.abc.eu-west-1.rds.amazonaws.com:3306/tower?sslMode=VERIFY_CA&serverTimezone=UTC", "tower.abc.eu-west-1.rds.amazonaws.com", 3306, "tower", "verify-ca"},
		{"jdbc:mysql://my_db:3306/tower?useSSL=false&allowPublicKeyRetrieval=true", "my_db", 3306, "tower", "disabled"},
		{"jdbc:mysql://10.0.0.7/tower?requireSSL=true", "10.0.0.7", 3306, "tower", "required"},
		{"jdbc:mysql://[2001:db8::7]:3308/tower", "2001:db8::7", 3308, "tower", "preferred"},
		{"jdbc:mysql://[2001:db8::7]/tower", "2001:db8::7", 3306, "tower", "preferred"},
		{"jdbc:mysql://someone:p%w?d@db:3306/tower", "", 0, "", ""},
		{"jdbc:mysql://someone:p#a:s/s@w%d@db:3306/tower?x=y", "db", 3306, "tower", "preferred"},
		{"jdbc:mysql://db/to%20wer?sslmode=required", "db", 3306, "to wer", "required"},
		{"jdbc:mysql://db/tower?useSSL=false&sslMode=REQUIRED", "db", 3306, "tower", "required"},
		{"jdbc:mysql://db/tower?sslMode=DISABLED&requireSSL=true", "db", 3306, "tower", "disabled"},
		{"jdbc:mysql://db/tower?sslMode=PREFERRED&requireSSL=true", "db", 3306, "tower", "preferred"},
		{"jdbc:mariadb://db/tower?sslMode=verify-full", "db", 3306, "tower", "verify-ca"},
		{"jdbc:mariadb://db/tower?sslMode=disable", "db", 3306, "tower", "disabled"},
		{"jdbc:mysql://db/tower?%zz=1;&sslMode=REQUIRED", "db", 3306, "tower", "required"},
		{"jdbc:postgresql://db:5432/tower", "", 0, "", ""},
		{"jdbc:mysql:loadbalance://a,b/tower", "", 0, "", ""},
		{"jdbc:mysql://a:1,b:2/tower", "", 0, "", ""},
		{"jdbc:mysql://(host=a,port=1)/tower", "", 0, "", ""},
		{"jdbc:mysql://db:3306", "", 0, "", ""},
		{"jdbc:mysql://db:3306/", "", 0, "", ""},
		{"jdbc:mysql:///tower", "", 0, "", ""},
		{"jdbc:mysql://:3306/tower", "", 0, "", ""},
		{"jdbc:mysql://db:0/tower", "", 0, "", ""},
		{"jdbc:mysql://db:70000/tower", "", 0, "", ""},
		{"jdbc:mysql://db:x/tower", "", 0, "", ""},
		{"jdbc:mysql://2001:db8::7/tower", "", 0, "", ""},
		{"jdbc:mysql://${DB_HOST}/tower", "", 0, "", ""},
		{"mysql://db/tower", "", 0, "", ""},
		{"jdbc:h2:mem:tower", "", 0, "", ""},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			got, why := parseJDBC(test.url)
			if test.host == "" {
				assert.NotEmpty(t, why)
				assert.NotContains(t, why, "someone")
				assert.NotContains(t, why, "p%w")
				return
			}
			assert.Empty(t, why)
			assert.Equal(t, proof.Database{Host: test.host, Port: test.port, Name: test.name, TLS: test.tls}, got)
		})
	}
}
