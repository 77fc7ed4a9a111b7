"""The signs by which an auto-filed bug is sorted: one table, each sign with the role it speaks for and its weight.

Weights: 10 is the handwriting of one kind of program, such as a stack trace; 6 to 8 an error that only one trade meets;
3 to 5 a word that fits, the less the more often it only tells where something ran and not what failed.
`[[bug_evidence]]` in dispatch.toml adds to the table.
Source: SPEC, "Routing".
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dispatch.settings import Settings

BACKEND = "backend-engineer"
WEB = "web-designer"
DEVOPS = "devops-engineer"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sign: `pattern` is a regular expression, searched in the title, the description and a line for each label.

    It ignores case, `^` and `$` are the ends of a line, `.` is any character. A label stands in a line of its own as
    `label:name`. `what` names the sign in the reason for a route; the pattern itself does if it is empty.
    """

    pattern: str
    role: str
    weight: int
    what: str = ""


_SIGNS: dict[str, Sequence[tuple[int, str, *tuple[str, ...]]]] = {
    BACKEND: (
        # Programs on servers: Python
        (10, "a Python traceback", r"\bTraceback \(most recent call last\)|\bmost recent call first\)"),
        (6, "a frame of Python", r'\bFile "[^"\n]+", line \d+'),
        (5, "a place in a Python file", r"\b[\w/.-]{1,80}\.py:\d+|\b[\w/.-]{1,80}\.py::\w+"),
        (
            6,
            "an error class of Python",
            r"\b(?:Key|Value|Attribute|ModuleNotFound|Import|Index|Name|Recursion|Memory|ZeroDivision|UnicodeDecode|"
            r"UnicodeEncode|Assertion|NotImplemented|FileNotFound|UnboundLocal|Indentation|Lookup|Overflow|OS|"
            r"ConnectionRefused|ConnectionReset|BrokenPipe|JSONDecode|Validation|Permission|Runtime|Timeout)Error\b",
            r"\b(?:StopIteration|KeyboardInterrupt)\b",
        ),
        (
            6,
            "a TypeError as Python words it",
            r"\bTypeError: (?:unsupported operand|can only concatenate|'[\w.]+' object is not|[\w.]+\(\) (?:missing|"
            r"takes|got an))",
        ),
        (
            5,
            "an exception of a Python package",
            r"\b[a-z_]\w{0,40}(?:\.\w{1,40}){0,5}\.(?:errors|exc|exceptions|utils)\.(?-i:[A-Z])\w+",
        ),
        (6, "a failed Python test", r"^E {3,}\S|^FAILED \S+\.py\b|\b\d+ failed, \d+ passed in\b"),
        (
            3,
            "a Python library",
            r"\b(?:asyncio|django|flask|fastapi|uvicorn|gunicorn|celery|pydantic|mypy|pytest|jinja2)\b",
        ),
        # Go
        (10, "a goroutine trace", r"\bgoroutine \d+ \["),
        (6, "a Go panic", r"\bpanic: \S|\bfatal error: (?:concurrent map|all goroutines|stack overflow|runtime)"),
        (5, "a place in a Go file", r"\b[\w/.-]{1,80}\.go:\d+"),
        (3, "goroutines", r"\bgoroutines?\b"),
        (6, "a failed Go test", r"^--- FAIL: Test|\bWARNING: DATA RACE|^FAIL\t"),
        # Java and its family
        (10, "a Java stack trace", r"^[ \t]{0,40}at [\w$.<>/]{1,200}\([\w$]{1,80}\.(?:java|kt|scala|groovy):\d+\)"),
        (6, "an uncaught Java exception", r'\bException in thread "'),
        (6, "an exception of Java", r"\b(?:[a-z]\w{0,40}\.){1,9}(?-i:[A-Z])\w{0,60}(?:Exception|Error)\b"),
        (
            5,
            "an error class of Java",
            r"\b(?:OutOfMemory|StackOverflow|NoClassDefFound|NoSuchMethod)Error\b",
            r"\b(?:NullPointer|ClassCast|IllegalArgument|IllegalState|ConcurrentModification|IndexOutOfBounds|"
            r"ClassNotFound|NumberFormat|UnsupportedOperation|IO)Exception\b",
        ),
        (5, "a place in a Java file", r"\b[\w/.-]{1,80}\.(?:java|kt|scala|groovy):\d+"),
        (3, "a Java library", r"\b(?:spring(?:framework|boot)?|hibernate|kotlin|jvm|tomcat)\b"),
        # Rust
        (10, "a Rust panic", r"\bthread '[^'\n]*' panicked at\b|\brust_begin_unwind\b|\bRUST_BACKTRACE\b"),
        (10, "an error of the Rust compiler", r"\berror\[E\d{4}\]"),
        (5, "a place in a Rust file", r"\b[\w/.-]{1,80}\.rs:\d+|\b[\w-]{1,80}/[\w/.-]{1,80}\.rs\b"),
        (6, "an unwrapped Rust value", r"\bcalled `(?:Option|Result)::"),
        (6, "a failed Rust build or test", r"\bcould not compile `|\btest result: FAILED"),
        # Other programs on servers
        (
            5,
            "a place in a source file of a server",
            r"\b[\w/.-]{1,80}\.(?:c|cpp|cxx|h|hpp|rb|php|cs|ex|exs|erl|swift)(?::\d+|\(\d+\)|:line \d+)",
        ),
        (6, "an error of native code", r"\bAddressSanitizer|\bsegmentation fault\b|\bSIGSEGV\b|\bcore dumped\b"),
        (6, "an error of Ruby or PHP", r"\bNoMethodError\b|\bundefined method [`']|\bPHP (?:Fatal|Parse) error"),
        (8, "a frame of Node", r"\(node:\w+|\bnode_modules/(?:express|koa|fastify|@nestjs|@hapi)\b"),
        (8, "a script on a server", r"\bat [^\n]{0,80}/(?:srv|opt|usr|home|app)/[^\s:]{1,120}\.[cm]?[jt]s:\d+"),
        (4, "an error code of Node", r"\bERR_[A-Z]+_[A-Z_]+\b|\bUnhandledPromiseRejection|\bECONN(?:REFUSED|RESET)\b"),
        (
            10,
            "an error of a compiler",
            r"\berror: (?:cannot find symbol|incompatible types|package \S+ does not exist)|\bundefined reference to\b",
            r'\.go:\d+:\d+: (?:undefined:|cannot use|missing return|syntax error|declared and not used|"\S+" imported)',
            r"\.(?:c|cpp|cxx|h|hpp):\d+:\d+: (?:fatal )?error:",
        ),
        # API and HTTP
        (
            5,
            "an HTTP status of failure",
            r"\b(?:(?:HTTP(?:/\d(?:\.\d)?)?|status(?: code)?|returns?|returned|got|gives?|responds?(?: with)?|"
            r"answers?(?: \w+)?|with|error|response:)[ :=]+(?:an? |HTTP )?)(?:4[0-3]\d|451|50\d|51[01])\b(?! *(?:%|"
            r"rows?|records?|items?|ms\b|px\b|users?|files?|lines?|times|[KMG]B\b))",
            r"(?:->|/\S{0,120}) (?:4[0-3]\d|451|50\d|51[01])\b",
        ),
        (
            4,
            "the name of an HTTP status",
            r"\b(?:Internal Server Error|Bad Request|Unauthorized|Forbidden|Unprocessable Entity|Too Many Requests|"
            r"Bad Gateway|Gateway Timeout|Service Unavailable|Method Not Allowed)\b",
        ),
        (4, "an HTTP request", r"(?-i:\b(?:GET|POST|PUT|PATCH|DELETE|OPTIONS|HEAD)) (?:https?://|/)\S*"),
        (
            8,
            "an error of a remote call",
            r"\brpc error: code\b|\bgrpc-status\b|\bcode = \w+ desc =",
            r"\bGraphQL\b[^\n]{0,60}\berrors?\b|\bresolver error\b|\berrors\[\d+\]",
        ),
        (5, "a kind of interface", r"\b(?:webhooks?|GraphQL|gRPC|OpenAPI|websockets?|REST API|RPC)\b"),
        (
            4,
            "a header of HTTP",
            r"\b(?:Content-Type|Retry-After|WWW-Authenticate|Access-Control-\w+|Set-Cookie|CORS)\b",
        ),
        (3, "an API", r"\bAPIs?\b|\bend-?points?\b|/api/|\bpreflight\b|\bhandshake\b|\b(?:request|response) body\b"),
        # Databases
        (
            10,
            "an error of a database",
            r"\bviolates (?:unique|foreign key|not-null|check|exclusion) constraint|\bduplicate key\b",
            r"\b(?:UNIQUE|FOREIGN KEY|CHECK|NOT NULL) constraint failed\b|\bsyntax error at or near\b",
            r"\block wait timeout\b|\bvalue too long for type\b|\bremaining connection slots\b|\bQueuePool limit\b",
            r"\bunknown column\b",
            r'\b(?:relation|column|table) "?[\w.]+"?(?: of \w+ "?[\w.]+"?)? (?:does not|already) exists?\b',
            r"\bdeadlock (?:detected|found)|\bstatement timeout\b|\bcould not serialize access\b",
            r"\bdatabase is locked\b",
            r"\bno such (?:table|column)\b|\btoo many (?:connections|clients)\b|\btable or view does not exist\b",
            r"\bSQLSTATE\b|\bORA-\d{5}\b|\bE11000\b|\bERROR \d{4} \(\w{5}\)",
        ),
        (
            5,
            "a statement of SQL",
            r"(?-i:\bSELECT\b[^;]{1,300}\bFROM\b|\bINSERT INTO\b|\bUPDATE \w+ SET\b|\bDELETE FROM\b|"
            r"\bALTER TABLE\b|\bCREATE (?:TABLE|INDEX)\b)",
        ),
        (
            5,
            "a database library",
            r"\b(?:psycopg\w*|asyncpg|sqlalchemy|sqlite3|alembic|jdbc|hibernate|MongoServerError|SQLSyntaxError\w*|"
            r"pymysql|mysqlclient|sequelize|typeorm)\b",
        ),
        (3, "a database", r"\b(?:PostgreSQL|Postgres|MySQL|MariaDB|SQLite|MongoDB|InnoDB|Redis|Valkey|SQL)\b"),
        (
            5,
            "the cost of a query",
            r"\bslow (?:query|queries)\b|\bsequential scan\b|\bfull table scan\b|\bquery plan\b|\bno index\b",
        ),
        (3, "work on a database", r"\bmigrations?\b|\btransactions?\b|\brollback segment\b"),
        # What the reporter says
        (4, "a label for servers", r"^label:(?:backend|back-end|server|api|rest-api|database|db|sql)$"),
        (4, "a tag for servers", r"\[(?:backend|back-end|server|api|database|db)\]"),
    ),
    WEB: (
        # Scripts of pages
        (8, "an uncaught error of a script", r"\bUncaught (?:\(in promise\)|\w*Error\b|DOMException\b)"),
        (5, "an error class of scripts", r"\bReferenceError\b|\bDOMException\b|\bChunkLoadError\b|\bScript error\b"),
        (
            6,
            "an error as browsers word it",
            r"\bCannot (?:read|set) propert(?:y|ies)\b[^\n]{0,60}\b(?:of|on) (?:undefined|null)\b",
            r"\b(?:undefined|null) is not an object\b|\bUnexpected token '?<",
        ),
        (4, "a value that is no function", r"\b[\w.$]{1,80} is not (?:a function|iterable|defined)\b"),
        (
            8,
            "a frame of a script from the web",
            r"https?://[^\s:)]{1,120}(?::\d+)?/[^\s:)]{0,120}:\d+:\d+|https?://\S{1,200}\.m?js\b",
        ),
        (6, "a component file", r"\b[\w.-]{1,80}\.(?:jsx|tsx|vue|svelte)\b"),
        (5, "a bundle of scripts", r"\b[\w.]{0,80}(?:bundle|chunk|min|esm)\.m?js\b|\bmain\.[0-9a-f]{4,}\.\w*\.?js\b"),
        (
            6,
            "React",
            r"(?-i:\bReact\b)|\breact(?:-dom|js)\b|\buse(?:State|Effect|Memo|Ref|Callback|Context)\b|\bsetState\b",
            r"\bcomponent stack\b|\bmust be used within (?:a |an |the )?\w+Provider\b",
        ),
        (5, "hydration or hooks", r"\bhydrat(?:ion|ing)\b|\bmore hooks\b|\bfailed prop type\b|\bupdate depth\b"),
        (
            6,
            "Vue, Angular or Svelte",
            r"\bVue\b|\bAngular\b|\bSvelte\b|\bNG0\d+\b",
            r"(?-i:\bng(?:On)?[A-Z]\w+)|\.component\.(?:ts|html)\b",
        ),
        (
            5,
            "the document of a page",
            r"\bdocument\.(?:body|cookie|create\w+|get\w+|query\w+)|\bwindow\.(?:on\w+|location|open)|\bquerySelector\w*",
            r"\binnerHTML\b|\bjQuery\b|\bDOM\b",
        ),
        (
            5,
            "the storage or events of a page",
            r"\b(?:local|session)Storage\b|\baddEventListener\b|\bonclick\b|\bHTML\w*Element\b",
        ),
        (8, "an error of TypeScript", r"\berror TS\d{4}\b|\bTS\d{4}:"),
        (4, "a place in a script", r"\beslint\b|\bwebpack\b|\bCan't resolve '|\b[\w/.-]{1,80}\.ts:\d+"),
        (3, "the console of a browser", r"\bconsole\.(?:error|warn)\b|\bdevtools\b|\bin the console\b"),
        (3, "a browser", r"(?-i:\b(?:Chrome|Firefox|Safari|Edge)\b)|\bbrowsers?\b|\bMozilla/5\.0\b|\buser agent\b"),
        # How it looks
        (
            6,
            "a style sheet",
            r"\b[\w.-]{1,80}\.(?:css|scss|sass|less|styl)\b|\bstyle ?sheets?\b|\bstylelint\b|\bSassError\b|\bSass:",
        ),
        (
            5,
            "a property of styles",
            r"\b(?:z-index|flexbox|flex-\w+|grid-\w+(?:-\w+)?|font-(?:family|size|weight)|line-height|box-shadow|"
            r"border-radius|text-overflow|vertical-align|max-width|min-width|overflow: \w+)\b",
            r"@(?:font-face|keyframes|media)\b|\bposition: (?:fixed|sticky|absolute|relative)|\b[a-z]+:hover\b",
        ),
        (
            4,
            "something that looks wrong",
            r"\b(?:overlap(?:s|ping|ped)?|misaligned|not aligned|cut off|unreadable|too little contrast|layout shift|"
            r"falls apart|jumps|hidden behind|out of place)\b",
            r"\bcontrast ratio\b",
        ),
        (3, "the layout", r"\b(?:layout|padding|margin|styling|flex|grid)\b"),
        (
            3,
            "a width of the screen",
            r"\b(?:viewport|responsive|breakpoint|narrow screens?|on mobile|\d+x\d+)\b|\b\d+ ?px\b",
        ),
        (
            3,
            "a part of a page",
            r"\b(?:toolbar|sidebar|footer|header|tooltip|modal|spinner|scrollbar|navigation|dialog|icons?|drop-?down|"
            r"landing page)\b",
        ),
        (4, "access to a page", r"\baria-\w+|\bscreen reader|\balt text\b|\btab order\b|\bfocus ring\b"),
        (3, "colours or type", r"\b(?:dark mode|light mode|colou?rs?|web ?fonts?|fonts?|hover|animation|contrast)\b"),
        (
            4,
            "a picture that differs",
            r"\bvisual (?:check|regression|diff)|\bscreenshot (?:comparison|of \S+ differs|differs|test)",
        ),
        # What the reporter says
        (
            4,
            "a label for pages",
            r"^label:(?:frontend|front-end|ui|ux|css|styling|javascript|js|browser|design|visual-regression|"
            r"accessibility|a11y)$",
        ),
        (4, "a tag for pages", r"\[(?:frontend|front-end|ui|css|web)\]"),
    ),
    DEVOPS: (
        # Images, clusters, machines
        (
            8,
            "an error of Docker",
            r"\bCannot connect to the Docker daemon\b|\bfailed to solve\b|\bCOPY failed\b",
            r"\bError response from daemon\b",
            r"\bmanifest unknown\b|\bpull access denied\b|^Step \d+/\d+ :|\bexec format error\b|\bpull rate limit\b",
            r"\brequested access to the resource is denied\b",
        ),
        (
            8,
            "an error of Kubernetes",
            r"\b(?:CrashLoopBackOff|ImagePullBackOff|ErrImagePull|OOMKilled|FailedScheduling|FailedMount|Evicted)\b",
            r"\bprogress deadline\b|\bno persistent volumes\b|\b(?:readiness|liveness) probe failed\b",
        ),
        (3, "containers", r"\bdocker(?:file|ignore)?\b|\bcontainers?\b|\bpodman\b|\bimage tag\b"),
        (
            3,
            "a cluster",
            r"\b(?:kubernetes|k8s|kubectl|helm|namespace|pods?|replicas?|ingress)\b",
            r"\bdeployment\.apps\b|\bthe cluster\b",
        ),
        (
            6,
            "an object of Kubernetes",
            r"\b(?:StatefulSet|DaemonSet|ReplicaSet|ConfigMap|PersistentVolume\w*|HorizontalPodAutoscaler|hpa/\w+|"
            r"NetworkPolicy|PodDisruptionBudget|pvc/\w+)\b",
        ),
        (8, "an error of a deployment", r"\bUPGRADE FAILED\b|\brolled back to revision\b|\bexceeded its progress\b"),
        (4, "a deployment", r"\b(?:re)?deploy(?:ments?|ed|ing|s)?\b|\brollouts?\b|\brolled back\b|\bto staging\b"),
        (
            6,
            "infrastructure as code",
            r"\bterraform\b|\btfstate\b|\bansible\b|\bplaybooks?\b|\bpulumi\b|\bcloudformation\b|\bUNREACHABLE!",
        ),
        (
            6,
            "a certificate",
            r"\bcert-manager\b|\bACME\b|\b(?:TLS|SSL) certificate\b|\bcertificate (?:has )?expire[ds]?\b",
        ),
        # Pipelines and builds
        (6, "a file of a pipeline", r"\.github/workflows\b|\.gitlab-ci\.yml\b|\bJenkinsfile\b|\bactions/[\w-]+@v\d"),
        (
            6,
            "an error of a pipeline",
            r"\bmarked build as failure\b|\bjob failed: execution\b",
            r"\brunners? (?:online|with tag|has received|is offline|lost)|\bhosted runner\b",
            r"\bexceeded the maximum execution time\b",
        ),
        (
            3,
            "a pipeline",
            r"\b(?:CI|CI/CD|pipelines?|workflows?|Jenkins|GitLab|GitHub Actions|runners?|artifacts?)\b|##\[error\]",
            r"\bcompleted with exit code\b",
        ),
        (
            8,
            "an error of a build tool",
            r"\bNo rule to make target\b|\bCMake Error\b|\bnpm (?:ERR!|error)|\bResolutionImpossible\b",
            r"\bNo matching distribution\b|\bCould not resolve (?:all|dependenc)|\bpackage-lock\.json\b",
            r"\block ?file (?:is )?out of date\b|\bCould not find a (?:version|package)|\bFailed building wheel\b",
            r"\bfailed to select a version\b|: unknown revision\b|\bERESOLVE\b",
            r"\bspurious network error\b|\bfailed to get `\w+` as a dependency\b",
        ),
        (
            3,
            "a build",
            r"\bbuilds? (?:failed|failure|agents?|hosts?|step|job)\b|\bmake(?:\[\d+\])?: \*\*\*|^BUILD FAILED",
        ),
        (6, "a full disk", r"\bno space left on device\b|\bENOSPC\b|\bdisk\b[^\n]{0,40}\bfull\b|\bDiskAlmostFull\b"),
        (
            5,
            "a machine",
            r"\bexit(?:ed with)? code:? 137\b|\bOut of memory: Killed process\b|\bsystemd\[|\bnginx: \[emerg\]",
            r"\bnode_filesystem\w*|\bPrometheus alert\b|\bagent [\w-]{1,80} went offline\b|\bread-only file ?system\b",
            r"\bwrite-protected\b|^mount: |\bcould not resolve host\b",
        ),
        (6, "rights or keys of a pipeline", r"\bsigning failed\b|\bPermission to \S+ denied\b|\bsecrets\.[A-Z_]+"),
        (6, "a port that is taken", r"\bport is already allocated\b|\bBind for \S+ failed\b"),
        (3, "a cache of builds", r"\bcache (?:not found|key)|\btool cache\b|\bcache of dependencies\b"),
        # What the reporter says
        (
            4,
            "a label for operations",
            r"^label:(?:ci|cd|build|pipeline|docker|kubernetes|k8s|helm|deploy|deployment|infra|infrastructure|devops|"
            r"ops)$",
        ),
        (4, "a tag for operations", r"\[(?:ci|build|docker|deploy|deployment|infra|devops)\]"),
    ),
}
"""For each role: weight, name and alternative patterns of a sign."""

BUILT_IN_EVIDENCE = tuple(
    Evidence("|".join(patterns), role, weight, what)
    for role, signs in _SIGNS.items()
    for weight, what, *patterns in signs
)


def bug_evidence(settings: Settings) -> tuple[Evidence, ...]:
    """Return the built-in table and what dispatch.toml adds to it.

    What speaks for an alias of the configuration speaks for the role that has it.
    """
    added = (Evidence(sign.pattern, sign.role, sign.weight) for sign in settings.bug_evidence)
    return tuple(replace(sign, role=settings.resolve_role(sign.role)) for sign in (*BUILT_IN_EVIDENCE, *added))
