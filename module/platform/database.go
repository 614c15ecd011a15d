package platform

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/network"

	"github.com/seqera-tools/crypto-rotation/module/rotation"
	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Database finds the database through the backend container's environment: TOWER_DB_URL (jdbc:mysql://host:port/name?…),
// TOWER_DB_USER and TOWER_DB_PASSWORD, which the installer's tower.env sets. A host that is a container of the project
// becomes its address on the network that it shares with the backend; any other host (RDS) stays as it is. User and
// password are empty where the environment has none. Its error is a database_unknown fault.
func (f Found) Database() (rotation.Database, error) {
	unknown := func(what string) (rotation.Database, error) {
		return rotation.Database{}, &rotation.Fault{
			Code: rotation.CodeDatabaseUnknown, What: what, State: "Nothing was written.", Next: "Set the option database (host, port, name, user, password).",
		}
	}
	if len(f.backends) == 0 {
		return unknown(fmt.Sprintf("The compose project %s has no backend container to ask for the database.", f.Platform.Project))
	}
	backend := f.backends[0]
	environment := environmentOf(backend.Config.Env)
	where, ok := parseJDBC(environment["TOWER_DB_URL"])
	if !ok {
		return unknown(fmt.Sprintf("The environment of container %s has no TOWER_DB_URL of the form jdbc:mysql://host:port/name.", strings.TrimPrefix(backend.Name, "/")))
	}
	where.User, where.Password = environment["TOWER_DB_USER"], secret.New(environment["TOWER_DB_PASSWORD"])
	where.Host = f.address(backend, where.Host)
	return where, nil
}

// address gives the container's address on a network shared with the backend, if host names one.
func (f Found) address(backend container.InspectResponse, host string) string {
	if backend.NetworkSettings == nil {
		return host
	}
	for _, candidate := range f.all {
		if candidate.NetworkSettings == nil {
			continue
		}
		for name, endpoint := range candidate.NetworkSettings.Networks {
			_, shared := backend.NetworkSettings.Networks[name]
			if shared && endpoint.IPAddress != "" && named(candidate, endpoint, host) {
				return endpoint.IPAddress
			}
		}
	}
	return host
}

func named(c container.InspectResponse, endpoint *network.EndpointSettings, host string) bool {
	return c.Config.Labels[labelService] == host || strings.TrimPrefix(c.Name, "/") == host ||
		slices.Contains(endpoint.Aliases, host) || slices.Contains(endpoint.DNSNames, host)
}

func environmentOf(list []string) map[string]string {
	environment := map[string]string{}
	for _, entry := range list {
		name, value, _ := strings.Cut(entry, "=")
		environment[name] = value
	}
	return environment
}

// parseJDBC understands jdbc:mysql:// and jdbc:mariadb:// with one host. A login in the URL is not used.
func parseJDBC(text string) (rotation.Database, bool) {
	rest, ok := strings.CutPrefix(text, "jdbc:mysql://")
	if !ok {
		if rest, ok = strings.CutPrefix(text, "jdbc:mariadb://"); !ok {
			return rotation.Database{}, false
		}
	}
	parsed, err := url.Parse("mysql://" + rest)
	if err != nil || parsed.Hostname() == "" || strings.Contains(parsed.Host, ",") || len(parsed.Path) < 2 {
		return rotation.Database{}, false
	}
	where := rotation.Database{Host: parsed.Hostname(), Port: 3306, Name: parsed.Path[1:], TLS: tlsOf(parsed.Query())}
	if port := parsed.Port(); port != "" {
		if where.Port, err = strconv.Atoi(port); err != nil || where.Port < 1 || where.Port > 65535 {
			return rotation.Database{}, false
		}
	}
	return where, net.ParseIP(where.Host) != nil || !strings.ContainsAny(where.Host, " ()=")
}

// tlsOf reads what Connector/J understands: sslMode, and the older useSSL and requireSSL.
func tlsOf(params url.Values) string {
	for name, values := range params {
		value := strings.ToUpper(values[0])
		switch {
		case strings.EqualFold(name, "sslMode") && value == "DISABLED", strings.EqualFold(name, "useSSL") && value == "FALSE":
			return "disabled"
		case strings.EqualFold(name, "sslMode") && (value == "REQUIRED" || strings.HasPrefix(value, "VERIFY_")), strings.EqualFold(name, "requireSSL") && value == "TRUE":
			return "required"
		}
	}
	return "preferred"
}
