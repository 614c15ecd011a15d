package records

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

func testLogins(t *testing.T, s *server) {
	t.Helper()
	p := fresh(t, s)
	deaf, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = deaf.Close() }()
	const none = ""
	tests := []struct {
		name   string
		before string // as root
		where  func(*proof.Database)
		code   fault.Code
		says   string
		after  string
	}{
		{"a wrong password", none, func(d *proof.Database) { d.Password = secret.New("wrong" + newKey) }, fault.CodeDatabaseLoginRefused, `refused user "reader"`, none},
		{"no password", none, func(d *proof.Database) { d.Password = secret.Secret{} }, fault.CodeDatabaseLoginRefused, `refused user "reader"`, none},
		{"an unknown user", none, func(d *proof.Database) { d.User = "nobody" }, fault.CodeDatabaseLoginRefused, `refused user "nobody"`, none},
		{"somebody else's schema", none, func(d *proof.Database) { d.Name = "mysql" }, fault.CodeDatabaseLoginRefused, "SELECT on this schema is enough", none},
		{"a locked account", "ALTER USER reader@'%' ACCOUNT LOCK", nil, fault.CodeDatabaseLoginRefused, `refused user "reader"`, "ALTER USER reader@'%' ACCOUNT UNLOCK"},
		{"too many connections", "ALTER USER reader@'%' WITH MAX_CONNECTIONS_PER_HOUR 1; FLUSH USER_RESOURCES", nil, fault.CodeDatabaseUnavailable, "accepts no more connections", "ALTER USER reader@'%' WITH MAX_CONNECTIONS_PER_HOUR 0; FLUSH USER_RESOURCES"},
		{"a server without TLS", none, func(d *proof.Database) { d.TLS = "required" }, fault.CodeDatabaseUnavailable, "does not support TLS", none},
		{"a closed port", none, func(d *proof.Database) { d.Host, d.Port = "127.0.0.1", 1 }, fault.CodeDatabaseUnavailable, "nothing listens there", none},
		{"an unknown host", none, func(d *proof.Database) { d.Host = "no-such-host.invalid" }, fault.CodeDatabaseUnavailable, "cannot resolve the host name", none},
		{"a schema that is not there", "GRANT SELECT ON nowhere.* TO reader@'%'", func(d *proof.Database) { d.Name = "nowhere" }, fault.CodeDatabaseSchema, "no database of that name", "REVOKE SELECT ON nowhere.* FROM reader@'%'"},
		{"a user without rights on the tables", "REVOKE SELECT ON SCHEMA.* FROM reader@'%'; GRANT SELECT ON SCHEMA.tw_secret TO reader@'%'", nil, fault.CodeDatabaseSchema, "the user must have SELECT on it", "GRANT SELECT ON SCHEMA.* TO reader@'%'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.asRoot(t, test.before)
			defer p.asRoot(t, test.after)
			where := s.Reader(p.schema)
			if test.where != nil {
				test.where(&where)
			}
			db, err := Open(t.Context(), where)
			for err == nil && test.name == "too many connections" { // the first one of this hour is allowed
				_ = db.Close()
				db, err = Open(t.Context(), where)
			}
			if err == nil && test.name == "a server without TLS" {
				t.Skip("this server speaks TLS")
			}
			f := faultOf(t, err)
			assert.Equal(t, test.code, f.Code)
			assert.ErrorContains(t, err, test.says)
			assert.Contains(t, f.What, where.Name)
		})
	}
	t.Run("a server that never says a word", func(t *testing.T) {
		where := s.Reader(p.schema)
		where.Host, where.Port = "127.0.0.1", deaf.Addr().(*net.TCPAddr).Port
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := Open(ctx, where)
		assert.Equal(t, fault.CodeDatabaseUnavailable, faultOf(t, err).Code)
		assert.ErrorContains(t, err, "did not answer in time")
	})
}

func (p *platform) asRoot(t *testing.T, statements string) {
	t.Helper()
	if statements != "" {
		p.server.Exec(t, strings.ReplaceAll(statements, "SCHEMA", p.schema))
	}
}

func TestEveryFaultSaysWhatToDoAndShowsNoPassword(t *testing.T) {
	db := &DB{identity: "db:3306/tower", name: "tower", user: "reader", password: secret.New(password)}
	sent := func(number uint16) error {
		return &mysql.MySQLError{Number: number, Message: "it quotes " + password + " \n twice"}
	}
	ctx := t.Context()
	over, cancel := context.WithCancel(ctx)
	cancel()
	for name, test := range map[string]struct {
		err  error
		code fault.Code
	}{
		"access denied":        {sent(1045), fault.CodeDatabaseLoginRefused},
		"no rights on schema":  {sent(1044), fault.CodeDatabaseLoginRefused},
		"no rights on table":   {sent(1142), fault.CodeDatabaseLoginRefused},
		"socket users only":    {sent(1698), fault.CodeDatabaseLoginRefused},
		"not from this host":   {sent(1130), fault.CodeDatabaseLoginRefused},
		"expired":              {sent(1820), fault.CodeDatabaseLoginRefused},
		"locked":               {sent(3118), fault.CodeDatabaseLoginRefused},
		"TLS demanded":         {sent(3159), fault.CodeDatabaseLoginRefused},
		"unknown login method": {mysql.ErrUnknownPlugin, fault.CodeDatabaseLoginRefused},
		"unknown schema":       {sent(1049), fault.CodeDatabaseSchema},
		"too many":             {sent(1040), fault.CodeDatabaseUnavailable},
		"a statement too long": {sent(1969), fault.CodeDatabaseUnavailable},
		"the same of MySQL":    {sent(3024), fault.CodeDatabaseUnavailable},
		"a table that is held": {sent(1205), fault.CodeDatabaseUnavailable},
		"anything else":        {sent(1412), fault.CodeDatabaseUnavailable},
		"cut":                  {mysql.ErrInvalidConn, fault.CodeDatabaseUnavailable},
		"too late":             {context.DeadlineExceeded, fault.CodeDatabaseUnavailable},
		"whatever":             {errors.New("x"), fault.CodeDatabaseUnavailable},
		"a fault already":      {internal("x"), fault.CodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			f := faultOf(t, db.fault(ctx, test.err))
			assert.Equal(t, test.code, f.Code)
			if test.code != fault.CodeInternal {
				assert.Contains(t, f.What, "db:3306/tower")
				assert.Equal(t, fault.CodeInterrupted, faultOf(t, db.fault(over, test.err)).Code)
			}
		})
	}
}
