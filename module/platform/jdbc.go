package platform

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/proof"
)

const mysqlPort = 3306

// parseJDBC parses jdbc:mysql://host[:port]/name[?params] and jdbc:mariadb://…, as documented for MySQL's Connector/J and MariaDB's
// connector, with a single host. It ignores a login in the URL. If it cannot parse the URL, it returns the reason, which quotes
// nothing because the URL may contain a password.
func parseJDBC(text string) (proof.Database, string) {
	rest, ok := strings.CutPrefix(text, "jdbc:mysql://")
	if !ok {
		rest, ok = strings.CutPrefix(text, "jdbc:mariadb://")
	}
	if !ok {
		return proof.Database{}, "it does not start with jdbc:mysql:// or jdbc:mariadb://"
	}
	rest, query, _ := strings.Cut(rest, "?")
	slash := strings.LastIndexByte(rest, '/')
	if slash < 0 || slash == len(rest)-1 {
		return proof.Database{}, "it does not name a database after the host"
	}
	name, err := url.PathUnescape(rest[slash+1:])
	if err != nil {
		return proof.Database{}, "the name of the database is not escaped correctly"
	}
	authority := rest[:slash]
	authority = authority[strings.LastIndexByte(authority, '@')+1:] // the text before the last @ is a login
	if strings.ContainsAny(authority, ",()=") {
		return proof.Database{}, "it names several hosts, or a host in an unsupported form"
	}
	host, port, why := hostAndPort(authority)
	if why != "" {
		return proof.Database{}, why
	}
	params, _ := url.ParseQuery(query) // ignore malformed parameters, as Connector/J does
	return proof.Database{Host: host, Port: port, Name: name, TLS: tlsOf(params)}, ""
}

func hostAndPort(authority string) (host string, port int, why string) {
	host, port = authority, mysqlPort
	if strings.HasPrefix(authority, "[") && strings.HasSuffix(authority, "]") {
		host = authority[1 : len(authority)-1]
	} else if strings.Contains(authority, ":") {
		var text string
		var err error
		if host, text, err = net.SplitHostPort(authority); err != nil {
			return "", 0, "its host and port cannot be parsed"
		}
		if port, err = strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			return "", 0, "its port is not a number from 1 to 65535"
		}
	}
	if host == "" || strings.ContainsAny(host, " \t/$") {
		return "", 0, "it names no host"
	}
	return host, port, ""
}

// tlsOf converts the drivers' parameters: sslMode, which takes precedence, and the older useSSL, requireSSL and
// verifyServerCertificate.
func tlsOf(params url.Values) string {
	given := map[string]string{}
	for name, values := range params {
		given[strings.ToLower(name)] = strings.ToLower(values[len(values)-1])
	}
	switch given["sslmode"] {
	case "disabled", "disable":
		return "disabled"
	case "verify_ca", "verify_identity", "verify-ca", "verify-full":
		return "verify-ca" // with the system's authorities; the name in the certificate is not compared
	case "required", "trust":
		return "required"
	case "preferred":
		return "preferred"
	}
	switch {
	case given["usessl"] == "false":
		return "disabled"
	case given["requiressl"] == "true", given["verifyservercertificate"] == "true":
		return "required"
	}
	return "preferred"
}
