package preflight

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/seqera-tools/crypto-rotation/module/secret"
)

// Config is the output of docker compose config: the compose files with every variable, env file and path resolved.
type Config struct {
	Project  string
	Services map[string]Service
}

// Service is one service of the compose files.
type Service struct {
	Image        string
	Profiles     []string
	DependsOn    []string
	Once         bool // a one-shot service: WaitedFor, or it has no restart policy
	WaitedFor    bool // another service waits until it has completed
	ReverseProxy bool // it has the installer's label seqera: reverseproxy
	Replicas     int
	AlwaysPulls  bool
	Inherits     bool     // volumes_from: it also has the mounts of other containers
	Mounts       []Mount  // sorted by target
	Own          []string // targets of the files that compose adds: secrets and configs
	Environment  map[string]secret.Secret
	Networks     []string // the Engine's names, sorted
	ExtraHosts   []string // host:address
	Ports        []string // address:published->target/protocol, sorted
	PortsUnknown bool     // a range of ports: the port is chosen at the start

	ContainerName string // container_name
	NetworkMode   string // network_mode
	Fixed         bool   // it has a fixed address or an alias on a network
}

// raw is the JSON that compose prints. The fields used here are the same in versions 2.24 to 5.
type raw struct {
	Name              string
	Services          map[string]rawService
	Volumes, Networks map[string]struct{ Name string }
}

type rawService struct {
	Image       string                                `json:"image"`
	Profiles    []string                              `json:"profiles"`
	PullPolicy  string                                `json:"pull_policy"`
	Restart     string                                `json:"restart"`
	VolumesFrom []string                              `json:"volumes_from"`
	Environment map[string]*secret.Secret             `json:"environment"`
	Scale       *int                                  `json:"scale"`
	Networks    map[string]json.RawMessage            `json:"networks"`
	Labels      json.RawMessage                       `json:"labels"`
	ExtraHosts  json.RawMessage                       `json:"extra_hosts"` // a list, of host=address or, before compose 2.24.1, host:address
	DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
	Deploy      struct{ Replicas *int }
	Volumes     []struct{ Type, Source, Target string }
	Ports       []struct {
		HostIP    string          `json:"host_ip"`
		Published json.RawMessage // a string or a number
		Target    int
		Protocol  string
	}
	Secrets, Configs []rawFile

	ContainerName string `json:"container_name"`
	NetworkMode   string `json:"network_mode"`
}

type rawEndpoint struct {
	Aliases     []string `json:"aliases"`
	IPv4Address string   `json:"ipv4_address"`
	IPv6Address string   `json:"ipv6_address"`
}

type rawFile struct{ Source, Target string }

// ParseConfig parses the output of docker compose config --format json.
func ParseConfig(text []byte) (Config, error) {
	var said raw
	if err := json.Unmarshal(text, &said); err != nil {
		// Drop err: it may quote a value.
		return Config{}, errors.New("it is not the JSON of a compose project")
	}
	config := Config{Project: said.Name, Services: map[string]Service{}}
	waitedFor := map[string]bool{}
	for name, s := range said.Services {
		config.Services[name] = s.service(name, said)
		for on, how := range s.DependsOn {
			waitedFor[on] = waitedFor[on] || how.Condition == "service_completed_successfully"
		}
	}
	for name, s := range config.Services {
		s.Once, s.WaitedFor = s.Once || waitedFor[name], waitedFor[name]
		config.Services[name] = s
	}
	return config, nil
}

func (s rawService) service(name string, of raw) Service {
	made := Service{
		Image: s.Image, Profiles: s.Profiles, DependsOn: slices.Sorted(maps.Keys(s.DependsOn)), Once: s.Restart == "" || s.Restart == "no", Replicas: 1,
		AlwaysPulls: s.PullPolicy != "" && s.PullPolicy != "missing" && s.PullPolicy != "if_not_present" && s.PullPolicy != "never" && s.PullPolicy != "build",
		Inherits:    len(s.VolumesFrom) > 0, Environment: map[string]secret.Secret{}, ContainerName: s.ContainerName, NetworkMode: s.NetworkMode,
	}
	if made.Image == "" {
		made.Image = of.Name + "-" + name // compose's name for the image that it builds
	}
	for _, replicas := range []*int{s.Deploy.Replicas, s.Scale} {
		if replicas != nil {
			made.Replicas = *replicas
		}
	}
	for name, value := range s.Environment {
		if value != nil { // null: there is no value, and compose omits the variable
			made.Environment[name] = unescaped(*value)
		}
	}
	made.Networks, made.Fixed = s.endpoints(of)
	var labels map[string]string
	made.ReverseProxy = json.Unmarshal(s.Labels, &labels) == nil && labels["seqera"] == "reverseproxy"
	if json.Unmarshal(s.ExtraHosts, &made.ExtraHosts) != nil {
		made.ExtraHosts = nil
	}
	for i, entry := range made.ExtraHosts {
		made.ExtraHosts[i] = strings.Replace(entry, "=", ":", 1)
	}
	made.Mounts, made.Own = s.mounts(of), s.own()
	for _, p := range s.Ports {
		published := strings.Trim(string(p.Published), `"`)
		if strings.Contains(published, "-") || published == "" || published == "0" || published == "null" {
			made.PortsUnknown = true
			continue
		}
		made.Ports = append(made.Ports, Port(p.HostIP, published, fmt.Sprintf("%d/%s", p.Target, p.Protocol)))
	}
	slices.Sort(made.Ports)
	return made
}

func (s rawService) endpoints(of raw) (networks []string, fixed bool) {
	for network, how := range s.Networks {
		networks = append(networks, cmp.Or(of.Networks[network].Name, network))
		var at rawEndpoint
		fixed = fixed || json.Unmarshal(how, &at) == nil && (len(at.Aliases) > 0 || at.IPv4Address+at.IPv6Address != "")
	}
	slices.Sort(networks)
	return networks, fixed
}

func (s rawService) mounts(of raw) []Mount {
	var mounts []Mount
	for _, v := range s.Volumes {
		source := plain(v.Source)
		switch v.Type {
		case "tmpfs":
			continue
		case "bind":
			source = path.Clean(source) // as the Engine does
		case "volume":
			if v.Source == "" {
				continue // anonymous
			}
			source = plain(cmp.Or(of.Volumes[v.Source].Name, v.Source))
		}
		mounts = append(mounts, Mount{Source: source, Target: strings.TrimRight(plain(v.Target), "/")})
	}
	return mounts
}

// own returns the targets of the files that compose adds.
func (s rawService) own() (targets []string) {
	for _, file := range s.Secrets {
		targets = append(targets, file.under("/run/secrets"))
	}
	for _, file := range s.Configs {
		targets = append(targets, file.under("/"))
	}
	return targets
}

// under returns where compose mounts a secret or a config. Its directory is the default.
func (f rawFile) under(directory string) string {
	target := plain(cmp.Or(f.Target, f.Source))
	if path.IsAbs(target) {
		return path.Clean(target)
	}
	return path.Join(directory, target)
}

// Port formats a published port, in the same form for compose and the Engine.
func Port(address, published, target string) string {
	if address == "" || address == "::" {
		address = "0.0.0.0"
	}
	return address + ":" + published + "->" + target
}

// unescaped returns a value as the container has it. compose config doubles each $, so that its output is a valid compose file.
func unescaped(value secret.Secret) secret.Secret {
	return secret.New(plain(value.Reveal())) //nolint:forbidigo // it goes back into a secret
}

func plain(text string) string { return strings.ReplaceAll(text, "$$", "$") }

// ParseEvents parses the lines "Container <name> <action>" of docker compose up --dry-run, as versions 2.24 to 5 print them.
func ParseEvents(text string) []Event {
	var events []Event
	said := regexp.MustCompile(`(?:^|\s)Container (\S+)\s+([A-Z][a-z]+)\s*$`)
	for line := range strings.Lines(text) {
		if m := said.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			events = append(events, Event{Container: m[1], Action: m[2]})
		}
	}
	return events
}
