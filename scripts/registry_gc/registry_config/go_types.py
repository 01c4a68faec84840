"""The shape of the registry's configuration: its Go types, because they decide what a name means.

A variable finds a field by the field's Go name in upper case, YAML finds it by its tag; a value of
the wrong kind stops the registry. Source: distribution v3.1.1, configuration/configuration.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class Basic(Enum):
    """A type without parts; those after ANY check what they are given."""

    STRING = auto()
    BOOL = auto()
    INT = auto()
    DURATION = auto()  # int64 nanoseconds
    ANY = auto()
    VERSION = auto()
    LOG_LEVEL = auto()
    PLATFORMS = auto()
    CLIENT_AUTH = auto()


class MapRule(Enum):
    """What a map's own UnmarshalYAML adds to a plain map."""

    PLAIN = auto()
    STORAGE = auto()  # a string is a driver without parameters; two drivers are an error
    AUTH = auto()  # a string is a type without parameters; two keys are an error


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a struct: its YAML key, its type, and whether YAML sees through it."""

    key: str
    type: "Type"
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Struct:
    """Go's struct: fields by Go name. Its value is a `dict` by Go name without the zero ones."""

    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True)
class Slice:
    """Go's slice; its value is a `list`, or None."""

    element: "Type"


@dataclass(frozen=True, slots=True)
class Map:
    """Go's map with string keys; its value is a StringMap, or None."""

    element: "Type"
    rule: MapRule = MapRule.PLAIN


@dataclass(frozen=True, slots=True)
class Pointer:
    """Go's pointer; its value is that of the target, or None."""

    target: "Type"


Type = Basic | Struct | Slice | Map | Pointer


class StringMap(dict[str, object]):
    """A map whose keys are strings: variables can reach into it."""


class AnyMap(dict[object, object]):
    """A map as yaml.v2 makes it inside a driver's parameters: no variable can reach into it."""


STRING, BOOL, INT, DURATION, ANY = (
    Basic.STRING,
    Basic.BOOL,
    Basic.INT,
    Basic.DURATION,
    Basic.ANY,
)
STRINGS = Slice(STRING)
HEADER = Map(STRINGS)
PARAMETERS = Map(ANY)


def _struct(**fields: Type | Field) -> Struct:
    """Return a struct whose YAML keys are the Go names in lower case, unless a Field says else."""
    return Struct(
        {
            name: type_ if isinstance(type_, Field) else Field(name.lower(), type_)
            for name, type_ in fields.items()
        }
    )


def _strings(*names: str) -> dict[str, Type | Field]:
    return dict.fromkeys(names, STRING)


_LOG_HOOK = _struct(
    Disabled=BOOL,
    Type=STRING,
    Levels=STRINGS,
    MailOptions=Field(
        "options",
        _struct(
            SMTP=_struct(**_strings("Addr", "Username", "Password"), Insecure=BOOL),
            From=STRING,
            To=STRINGS,
        ),
    ),
)
_LOG = _struct(
    AccessLog=_struct(Disabled=BOOL),
    Level=Basic.LOG_LEVEL,
    Formatter=STRING,
    Fields=Map(ANY),
    Hooks=Slice(_LOG_HOOK),
    ReportCaller=BOOL,
)
_TLS = _struct(
    **_strings("Certificate", "Key"),
    ClientCAs=STRINGS,
    ClientAuth=Basic.CLIENT_AUTH,
    MinimumTLS=STRING,
    CipherSuites=STRINGS,
    LetsEncrypt=_struct(**_strings("CacheFile", "Email", "DirectoryURL"), Hosts=STRINGS),
)
_HTTP = _struct(
    **_strings("Addr", "Net", "Host", "Prefix", "Secret"),
    RelativeURLs=BOOL,
    DrainTimeout=DURATION,
    TLS=_TLS,
    Headers=HEADER,
    Debug=_struct(Addr=STRING, Prometheus=_struct(Enabled=BOOL, Path=STRING)),
    HTTP2=_struct(Disabled=BOOL),
    H2C=_struct(Enabled=BOOL),
)
_NOTIFICATIONS = _struct(
    EventConfig=Field("events", _struct(IncludeReferences=BOOL)),
    Endpoints=Slice(
        _struct(
            **_strings("Name", "URL"),
            Disabled=BOOL,
            Headers=HEADER,
            Timeout=DURATION,
            Threshold=INT,
            Backoff=DURATION,
            IgnoredMediaTypes=STRINGS,
            Ignore=_struct(MediaTypes=STRINGS, Actions=STRINGS),
        )
    ),
)
_REDIS = _struct(
    Options=Field(
        "options",
        _struct(
            Addrs=STRINGS,
            **_strings("ClientName", "Username", "Password", "SentinelUsername"),
            **_strings("SentinelPassword", "MasterName", "IdentitySuffix"),
            **dict.fromkeys(("DB", "Protocol", "MaxRetries", "PoolSize", "MinIdleConns"), INT),
            **dict.fromkeys(("MaxIdleConns", "MaxActiveConns", "MaxRedirects"), INT),
            **dict.fromkeys(("MinRetryBackoff", "MaxRetryBackoff", "DialTimeout"), DURATION),
            **dict.fromkeys(("ReadTimeout", "WriteTimeout", "PoolTimeout"), DURATION),
            **dict.fromkeys(("ConnMaxIdleTime", "ConnMaxLifetime"), DURATION),
            **dict.fromkeys(("ContextTimeoutEnabled", "PoolFIFO", "ReadOnly"), BOOL),
            **dict.fromkeys(("RouteByLatency", "RouteRandomly", "DisableIdentity"), BOOL),
            UnstableResp3=BOOL,
        ),
        inline=True,
    ),
    TLS=_struct(**_strings("Certificate", "Key"), RootCAs=STRINGS),
    Addr=STRING,  # of registry 2.8, whose password and db have the same names and types as above
)
_CHECK = {"Timeout": DURATION, "Interval": DURATION, "Threshold": INT}
_HEALTH = _struct(
    FileCheckers=Field("file", Slice(_struct(File=STRING, Interval=DURATION, Threshold=INT))),
    HTTPCheckers=Field(
        "http", Slice(_struct(**_CHECK, StatusCode=INT, URI=STRING, Headers=HEADER))
    ),
    TCPCheckers=Field("tcp", Slice(_struct(**_CHECK, Addr=STRING))),
    StorageDriver=_struct(Enabled=BOOL, Interval=DURATION, Threshold=INT),
)
_PROXY = _struct(
    **_strings("RemoteURL", "Username", "Password"),
    Exec=Pointer(_struct(Command=STRING, Lifetime=Pointer(DURATION))),
    TTL=Pointer(DURATION),
    CacheWriteTimeout=Pointer(DURATION),
)
_VALIDATION = _struct(
    Enabled=BOOL,
    Disabled=BOOL,
    Manifests=_struct(
        URLs=_struct(Allow=STRINGS, Deny=STRINGS),
        Indexes=_struct(
            Platforms=Basic.PLATFORMS,
            PlatformList=Slice(_struct(**_strings("Architecture", "OS"))),
        ),
    ),
)

VERSION_ONLY = _struct(Version=Basic.VERSION)
"""What is read first, to know which shape the rest has."""

CONFIGURATION = _struct(
    Version=Basic.VERSION,
    Log=_LOG,
    Loglevel=Basic.LOG_LEVEL,
    Storage=Map(PARAMETERS, MapRule.STORAGE),
    Auth=Map(PARAMETERS, MapRule.AUTH),
    Middleware=Map(Slice(_struct(Name=STRING, Disabled=BOOL, Options=PARAMETERS))),
    HTTP=_HTTP,
    Notifications=_NOTIFICATIONS,
    Redis=_REDIS,
    Health=_HEALTH,
    Catalog=_struct(MaxEntries=INT),
    Tags=_struct(MaxTags=INT),
    Proxy=_PROXY,
    Validation=_VALIDATION,
    Policy=_struct(Repository=_struct(Classes=STRINGS)),
)

STORAGE_OPTIONS = frozenset({"maintenance", "cache", "delete", "redirect", "tag"})
"""Keys of `storage` that are not a driver (configuration.go, Storage.Type)."""
