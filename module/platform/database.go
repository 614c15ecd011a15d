package platform

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// source is what one backend says of the database.
type source struct {
	container string
	running   bool
	tower     bool              // its environment has settings of the Platform
	told      bool              // it has a TOWER_DB_URL
	where     proof.Database    // of TOWER_DB_URL, with the login that the environment has
	why       string            // it cannot be told
	networks  []string          // sorted
	hosts     map[string]string // /etc/hosts: extra_hosts of compose
}

// member is a container by whose names the host of the database may go.
type member struct {
	container string
	state     string
	networks  map[string]endpoint
}

type endpoint struct {
	address string // empty unless it runs
	names   []string
}

// Database finds the database through the backend container's environment: TOWER_DB_URL (jdbc:mysql://host:port/name?…),
// TOWER_DB_USER and TOWER_DB_PASSWORD, which the installer's tower.env sets. A host that is a container becomes its address
// on the network that it shares with the backend, reachable from the VM; any other host (RDS) stays as it is. User and
// password are empty where the environment has none. Its errors are faults: database_unknown, and database_unavailable
// where the host is a container that does not run.
func (f Found) Database() (proof.Database, error) {
	from, ok := f.source()
	if !ok {
		return unknown(fmt.Sprintf("The compose project %s has no backend container to ask for the database.", f.Platform.Project))
	}
	if from.why != "" {
		return unknown(from.why)
	}
	where := from.where
	if address, ok := from.hosts[where.Host]; ok {
		where.Host = address
		return where, nil
	}
	address, holder := f.resolve(from, where.Host)
	switch {
	case address != "":
		where.Host = address
	case holder != nil:
		return proof.Database{}, fault.New(fault.CodeDatabaseUnavailable, "Start it (docker start "+holder.container+"), or set the option database.",
			"The database's container %s has no address: it is %s.", holder.container, holder.state)
	}
	return where, nil
}

func unknown(what string) (proof.Database, error) {
	return proof.Database{}, fault.New(fault.CodeDatabaseUnknown, "Set the option database (host, port, name, user, password).",
		"%s", what)
}

// source prefers a backend that runs and says where the database is; any other will do.
func (f Found) source() (source, bool) {
	if len(f.sources) == 0 {
		return source{}, false
	}
	rank := func(s source) int {
		switch {
		case !s.told:
			return 2
		case !s.running:
			return 1
		}
		return 0
	}
	return slices.MinFunc(f.sources, func(a, b source) int { return cmp.Compare(rank(a), rank(b)) }), true
}

// resolve does what the Engine's name server does for the backend. Without an address it gives a container that goes by
// that name but does not run.
func (f Found) resolve(from source, host string) (string, *member) {
	var holder *member
	for _, network := range from.networks {
		for i, candidate := range f.members {
			at, shared := candidate.networks[network]
			if !shared || !slices.ContainsFunc(at.names, func(name string) bool { return strings.EqualFold(name, host) }) {
				continue
			}
			if at.address != "" {
				return at.address, nil
			}
			holder = &f.members[i]
		}
	}
	return "", holder
}

// DatabaseContainer is the container that the backend's database is in; empty where that is none of the project.
func (f Found) DatabaseContainer() string {
	from, ok := f.source()
	if !ok || from.why != "" {
		return ""
	}
	for _, one := range f.members {
		for _, network := range from.networks {
			if at, shared := one.networks[network]; shared && slices.ContainsFunc(at.names, func(name string) bool { return strings.EqualFold(name, from.where.Host) }) {
				return one.container
			}
		}
	}
	return ""
}

// needsStrangers says whether the database's host may be a container outside the project, on a network that was made for
// several.
func (f Found) needsStrangers() bool {
	from, ok := f.source()
	if !ok || from.why != "" || net.ParseIP(from.where.Host) != nil || from.hosts[from.where.Host] != "" {
		return false
	}
	address, holder := f.resolve(from, from.where.Host)
	return address == "" && holder == nil
}

// shares says whether a listed container is on a network of the backend.
func (f Found) shares(c container.Summary) bool {
	from, ok := f.source()
	if !ok || c.NetworkSettings == nil {
		return false
	}
	for network := range c.NetworkSettings.Networks {
		if slices.Contains(from.networks, network) {
			return true
		}
	}
	return false
}
