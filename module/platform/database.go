package platform

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// Database finds the database through the backend container's environment: TOWER_DB_URL (jdbc:mysql://host:port/name?…),
// TOWER_DB_USER and TOWER_DB_PASSWORD, which the installer's tower.env sets. A host that is a container becomes its address
// on the network that it shares with the backend, reachable from the VM; any other host (RDS) stays as it is. User and
// password are empty where the environment has none. Its errors are faults: database_unknown, and database_unavailable
// where the host is a container that does not run.
func (f Found) Database() (proof.Database, error) {
	where, holder, why := f.locate()
	switch {
	case why != "":
		return proof.Database{}, fault.New(fault.CodeDatabaseUnknown, "Set the option database (host, port, name, user, password).", "%s", why)
	case where.Host == "":
		return proof.Database{}, fault.New(fault.CodeDatabaseUnavailable, "Start it (docker start "+holder.Name+"), or set the option database.",
			"The database's container %s has no address: it is %s.", holder.Name, holder.State)
	}
	return where, nil
}

// locate reads TOWER_DB_URL, extra_hosts and the Engine's names, as the backend does. holder is the database's container; the host
// is empty unless that runs. why says why the backend does not tell.
func (f Found) locate() (where proof.Database, holder *preflight.Container, why string) {
	from, ok := f.backend()
	if !ok {
		return where, nil, fmt.Sprintf("The compose project %s has no backend container to ask for the database.", f.Platform.Project)
	}
	if where, why = databaseOf(from); why != "" {
		return where, nil, why
	}
	if address := extraHost(from, where.Host); address != "" {
		where.Host = address
		return where, nil, ""
	}
	for _, network := range slices.Sorted(maps.Keys(from.Networks)) {
		for i, candidate := range f.members {
			at, shared := candidate.Networks[network]
			if !shared || !slices.ContainsFunc(at.Names, func(name string) bool { return strings.EqualFold(name, where.Host) }) {
				continue
			}
			if holder = &f.members[i]; at.Address != "" {
				where.Host = at.Address
				return where, holder, ""
			}
		}
	}
	if holder != nil {
		where.Host = ""
	}
	return where, holder, ""
}

// backend is the one to ask: one that runs and says where the database is, or else any other.
func (f Found) backend() (preflight.Container, bool) {
	if len(f.backends) == 0 {
		return preflight.Container{}, false
	}
	rank := func(c preflight.Container) int {
		switch {
		case c.Environment["TOWER_DB_URL"].IsEmpty():
			return 2
		case !c.Running:
			return 1
		}
		return 0
	}
	return slices.MinFunc(f.backends, func(a, b preflight.Container) int { return cmp.Compare(rank(a), rank(b)) }), true
}

// databaseOf is what a backend's environment says of the database, or why it does not.
func databaseOf(c preflight.Container) (where proof.Database, why string) {
	url := c.Environment["TOWER_DB_URL"]
	if url.IsEmpty() {
		return where, fmt.Sprintf("The environment of container %s has no TOWER_DB_URL.", c.Name)
	}
	if where, why = parseJDBC(strings.TrimSpace(url.Reveal())); why != "" {
		return where, fmt.Sprintf("TOWER_DB_URL in the environment of container %s is not understood: %s.", c.Name, why)
	}
	where.User, where.Password = c.Environment["TOWER_DB_USER"].Reveal(), c.Environment["TOWER_DB_PASSWORD"]
	return where, ""
}

// extraHost is the address that a container's /etc/hosts has for a host (extra_hosts of compose); empty for any other.
func extraHost(c preflight.Container, host string) string {
	for _, entry := range c.ExtraHosts {
		name, address, _ := strings.Cut(entry, ":")
		switch {
		case name != host:
		case address == "host-gateway": // the VM itself, as seen from the container's network
			return c.Gateway()
		default:
			return address
		}
	}
	return ""
}

// expected is a backend as it will be once it is made.
func (f Found) expected(backend preflight.Service) preflight.Container {
	made := preflight.Container{
		Name: "backend (not created yet)", Environment: backend.Environment, ExtraHosts: backend.ExtraHosts, Networks: map[string]preflight.Attachment{},
	}
	for _, name := range backend.Networks {
		made.Networks[name] = preflight.Attachment{}
		for _, m := range f.members {
			if at := m.Networks[name]; at.Gateway != "" {
				made.Networks[name] = preflight.Attachment{Gateway: at.Gateway}
			}
		}
	}
	return made
}

// DatabaseContainer is the container that the backend's database is in; empty where that is none of the project.
func (f Found) DatabaseContainer() string {
	if _, holder, _ := f.locate(); holder != nil {
		return holder.Name
	}
	return ""
}

// needsStrangers says whether the database's host may be a container outside the project, on a shared network.
func (f Found) needsStrangers() bool {
	where, holder, why := f.locate()
	return why == "" && holder == nil && net.ParseIP(where.Host) == nil
}

// shares says whether a listed container is on a network of the backend.
func (f Found) shares(c container.Summary) bool {
	from, _ := f.backend()
	if c.NetworkSettings == nil {
		return false
	}
	for network := range c.NetworkSettings.Networks {
		if _, ok := from.Networks[network]; ok {
			return true
		}
	}
	return false
}
