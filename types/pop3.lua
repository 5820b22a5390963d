---@meta pop3
-- Types for the Lua language server; docs/ has the words.

---@class pop3
---@field POP3_PORT integer 110
---@field POP3_SSL_PORT integer 995
---@field CR string
---@field LF string
---@field CRLF string
---@field error_proto table the class of what poplib would raise
---@field safe pop3 the same module, returning nil, message, err
---@field _MAXLINE integer octets of a status line
---@field _VERSION string
local pop3 = {}

---@class pop3.Error
---@field kind "proto"|"auth"|"closed"|"limit"|"tls"|"timeout"|"io"|"resolve"|"policy"|"state"|"aborted"|"argument"
---@field name string
---@field class? table pop3.error_proto, or nil
---@field code? string response code without brackets, upper case
---@field response? string the server's raw line
---@field retryable boolean
---@field retry_after? integer seconds, with the code LOGIN-DELAY
---@field errno? integer
---@field mechanism? string of a login
---@field detail? string what the server said inside of SASL
---@field message string

---@class pop3.Context: userdata

---@class pop3.Task
local Task = {}

---@param octets? number to receive at most (65536)
---@param seconds? number (0.001)
---@return "waiting"|"done"|"failed" state
---@return any ... what the function returned, or what it raised
function Task:step(octets, seconds) end

function Task:cancel() end

---@param fn fun(...): any
---@param ... any its arguments
---@return pop3.Task
function pop3.start(fn, ...) end

---@class pop3.Secret: userdata

---@class pop3.Message
---@field number integer
---@field size? integer octets, as the server says
---@field uid? string

---@class pop3.Listing: userdata
---@field uids boolean whether the server gave UIDs
---@field malformed integer lines without a number
---@field [integer] pop3.Message
---@operator len: integer
local Listing = {}

---@return fun(): integer?, integer?, string? iterator number, size, uid
function Listing:each() end

---@param uid string
---@return integer? index
function Listing:find(uid) end

---@param known table<string, any>|string[]|pop3.Listing
---@return pop3.Listing
function Listing:without(known) end

---@return integer[]
function Listing:numbers() end

---@return integer
function Listing:octets() end

---@alias pop3.Password string|pop3.Secret|fun(): (string|pop3.Secret|nil), string?

---@class pop3.TlsOptions
---@field cafile? string
---@field capath? string
---@field verify? boolean default true
---@field check_hostname? boolean default true
---@field servername? string
---@field certfile? string a file in PEM or PKCS#12, or a URI
---@field keyfile? string likewise
---@field keypass? string
---@field keylog? string a file that gets the connections' secrets
---@field min_version? "1.0"|"1.1"|"1.2"|"1.3" default "1.2"
---@field max_version? "1.0"|"1.1"|"1.2"|"1.3"
---@field ciphers? string
---@field ciphersuites? string
---@field groups? string
---@field security_level? integer 0 to 5, default 2
---@field alpn? boolean default true
---@field resume? boolean keep sessions and offer them again, default true
---@field pins? string|string[] "sha256//BASE64"
---@field dane? string|(string|pop3.TlsaRecord)[] "3 1 1 hex", or "dns"
---@field dane_domain? string
---@field dane_config? string unbound.conf, for "dns" and for srv
---@field ocsp? "none"|"request"|"require" default "none"
---@field crlfile? string

---By place or by name.
---@class pop3.TlsaRecord
---@field [1]? integer usage
---@field [2]? integer selector
---@field [3]? integer matching type
---@field [4]? string octets
---@field usage? integer
---@field selector? integer
---@field mtype? integer
---@field data? string

---@class pop3.Options: pop3.TlsOptions
---@field tls? "none"|"starttls"|"opportunistic"|"implicit"
---@field context? pop3.Context|pop3.TlsOptions
---@field session? string from session_export
---@field timeout? number seconds without an octet, default 60
---@field connect_timeout? number seconds, default 30
---@field total_timeout? number seconds for each call
---@field allow_cleartext? boolean
---@field framing? "strict"|"lenient"
---@field max_line? integer
---@field max_item? integer
---@field max_items? integer
---@field max_octets? integer
---@field max_capabilities? integer
---@field max_challenge? integer
---@field max_rounds? integer
---@field max_inflight? integer
---@field max_ahead? integer octets of commands that are not answered yet
---@field pipelining? boolean|"auto" default "auto"
---@field cache? table<string, string> capabilities, kept for the next connection
---@field loop? pop3.LoopName|pop3.Loop|false found by itself by default
---@field wait? fun(conn: pop3.Connection, interests: pop3.Interest[], deadline: number)
---@field transport? pop3.Transport
---@field tls_engine? "openssl"|"transport" default "openssl"
---@field srv? boolean the host is a mail domain: its signed SRV record says where
---@field proxy? string|pop3.Proxy
---@field proxy_tls? pop3.Context|pop3.TlsOptions
---@field unix_socket? string a path
---@field local_address? string numeric
---@field keepalive? boolean|number true, or seconds
---@field on_address? fun(host: string, address: string, port: integer): boolean|string|nil, string?

---@class pop3.Proxy
---@field url? string or the next three
---@field type? "socks5"|"socks5+tls"|"http"|"https"
---@field host? string
---@field port? integer
---@field user? string
---@field password? pop3.Password

---@class pop3.OpenOptions: pop3.Options, pop3.LoginOptions
---@field host? string
---@field port? integer 995 with tls = "implicit", else 110
---@field user? string
---@field password? pop3.Password

---@alias pop3.LoopName "poll"|"cqueues"|"luv"|"copas"|"luasocket"|"nginx"

---@class pop3.Loop
---@field wait fun(self: pop3.Loop, interests: pop3.Interest[], deadline: number)
---@field connect? fun(self: pop3.Loop, host: string, port: integer, seconds: number): pop3.Transport?, string?, string?
---@field files? boolean beside `connect`: files may be sinks

---A stream of octets that is not ours. Failures: nil and a reason ("closed",
---"timeout", or a text), and what was moved all the same.
---@class pop3.Transport
---@field send fun(self: pop3.Transport, octets: string, seconds: number): true|integer|nil, string?, integer?
---@field receive fun(self: pop3.Transport, max: integer, seconds: number): string?, string?, string?
---@field close fun(self: pop3.Transport)
---@field secure? fun(self: pop3.Transport, host: string, seconds: number): boolean?, string?, string?
---@field unusable? fun(self: pop3.Transport): string? why the caller cannot use it here

---@alias pop3.Interest {[1]: integer, [2]: "r"|"w"|"rw"}

---@alias pop3.Function fun(chunk?: string, message?: string, err?: pop3.Error): any, any
---@alias pop3.Sink pop3.Function|file*|integer|{path: string}

---@class pop3.Policy
---@field servers? string[] names, "*." and a name, addresses, blocks; default: any name
---@field ports? integer[] default: any
---@field on_address? fun(host: string, address: string, port: integer): boolean?, string?
---@field files? boolean default false, as the next four
---@field fds? boolean
---@field debug? boolean
---@field transport? boolean
---@field ways? boolean
---@field max_octets? integer of a message
---@field max_connections? integer

---@class pop3.RetrieveOptions
---@field top? integer lines of the body: TOP instead of RETR
---@field eol? "crlf"|"lf" default "crlf"
---@field hash? string a digest's name
---@field max_octets? integer
---@field progress? fun(octets: integer, announced?: integer)

---@class pop3.Reader
---@field octets? integer when the message is complete
---@field digest? string
---@field error? pop3.Error
---@operator call: string?
local Reader = {}

---@return string?
function Reader:next() end

function Reader:close() end

---@class pop3.MailboxMessage
---@field number integer
---@field size? integer
---@field uid? string
local Message = {}

---@return string
function Message:text() end

---@param lines? integer lines of the body, default 0
---@return string
function Message:headers(lines) end

---@param path string
---@return integer octets
function Message:save(path) end

---@return string status
function Message:delete() end

---@class pop3.Messages
---@field listing pop3.Listing
---@field uids boolean false if the server has no UIDL
---@operator call: pop3.MailboxMessage?
---@operator len: integer
local Messages = {}

---@return pop3.MailboxMessage?
function Messages:next() end

---@return integer
function Messages:len() end

---@class pop3.Connection: userdata
---@field host string
---@field port integer
local Connection = {}

---@param host string
---@param port? integer
---@param timeout? number seconds
---@param options? pop3.Options
---@return pop3.Connection
---@overload fun(host: string, options: pop3.Options): pop3.Connection
---@overload fun(host: string, port: integer, options: pop3.Options): pop3.Connection
function pop3.POP3(host, port, timeout, options) end

---@param host string
---@param port? integer
---@param keyfile? string
---@param certfile? string
---@param options? pop3.Options
---@return pop3.Connection
---@overload fun(host: string, options: pop3.Options): pop3.Connection
---@overload fun(host: string, port: integer, options: pop3.Options): pop3.Connection
function pop3.POP3_SSL(host, port, keyfile, certfile, options) end

---@param url string pop3s://user@host[:port], pop3://, pop://
---@param options? pop3.OpenOptions
---@return pop3.Connection
---@return pop3.LoginExtras? extras
---@overload fun(options: pop3.OpenOptions): pop3.Connection, pop3.LoginExtras?
function pop3.open(url, options) end

---@param options? pop3.TlsOptions
---@return pop3.Context
function pop3.context(options) end

---@param source {path?: string, fd?: integer, command?: string, env?: string}
---@return pop3.Secret
function pop3.secret(source) end

---@param list_lines? string[] the lines of list()
---@param uidl_lines? string[] the lines of uidl()
---@return pop3.Listing
function pop3.listing(list_lines, uidl_lines) end

---@param err any
---@return boolean
function pop3.is_error_proto(err) end

---@param seconds? number
function pop3.setdefaulttimeout(seconds) end

---@return number?
function pop3.getdefaulttimeout() end

---@param policy pop3.Policy
---@return true
function pop3.restrict(policy) end

---@return number seconds on the clock of deadlines
function pop3.now() end

---@return string status
function Connection:getwelcome() end

---@param level integer
---@param sink? fun(text: string)
function Connection:set_debuglevel(level, sink) end

---@param user string
---@return string status
function Connection:user(user) end

---@param password pop3.Password
---@return string status
function Connection:pass_(password) end

---@class pop3.LoginExtras
---@field stat? {count: integer, octets: integer}
---@field listing? pop3.Listing
---@field quit? string
---@field errors? table<string, pop3.Error>

---@class pop3.LoginOptions
---@field auth? string|string[] "SCRAM-SHA-256", "PLAIN", "USER", "APOP" ...
---@field token? pop3.Password of OAuth, in place of the password
---@field authzid? string as whom to act
---@field channel_binding? "prefer"|"require"|"disable" default "prefer"
---@field stat? boolean
---@field listing? boolean
---@field quit? boolean

---@param user? string
---@param password? pop3.Password
---@param options? pop3.LoginOptions
---@return string status
---@return pop3.LoginExtras? extras
function Connection:login(user, password, options) end

---@param name string the mechanism's
---@param respond fun(challenge: string): string?, string? a response, or nil and a reason
---@param initial? string the initial response
---@return string status
function Connection:authenticate(name, respond, initial) end

---@param user string
---@param secret pop3.Password
---@return string status
function Connection:apop(user, secret) end

---@param user string
---@return string status
function Connection:rpop(user) end

---@return integer count
---@return integer octets
function Connection:stat() end

---@param which? integer|string
---@return string status
---@return string[]? lines
---@return integer? octets
function Connection:list(which) end

---@param which? integer|string
---@return string status
---@return string[]? lines
---@return integer? octets
function Connection:uidl(which) end

---@param which integer|string
---@param options? {progress?: fun(octets: integer, announced?: integer)}
---@return string status
---@return string[] lines
---@return integer octets
function Connection:retr(which, options) end

---@param which integer|string
---@param howmuch integer|string
---@param options? {progress?: fun(octets: integer, announced?: integer)}
---@return string status
---@return string[] lines
---@return integer octets
function Connection:top(which, howmuch, options) end

---@param which integer|string
---@return string status
function Connection:dele(which) end

---@return string status
function Connection:noop() end

---@return string status
function Connection:rset() end

---@param options? {wait?: boolean}
---@return string? status
function Connection:quit(options) end

---@param which integer|string
---@param options? pop3.RetrieveOptions
---@return string text
---@return integer octets
---@return string? digest
function Connection:retr_string(which, options) end

---@param which integer|string
---@param sink pop3.Sink
---@param options? pop3.RetrieveOptions
---@return integer octets
---@return string? digest
function Connection:retr_to(which, sink, options) end

---@param which integer|string
---@param options? pop3.RetrieveOptions
---@return pop3.Reader
function Connection:retr_lines(which, options) end

---@param which integer|string
---@param options? pop3.RetrieveOptions
---@return pop3.Reader
function Connection:retr_chunks(which, options) end

---@class pop3.ManyOptions: pop3.RetrieveOptions
---@field quit? boolean

---@class pop3.Receiver
---@field sink fun(number: integer|string): pop3.Sink?
---@field done? fun(number: integer|string, octets?: integer, err?: pop3.Error, digest?: string): any, any

---@param numbers (integer|string)[]
---@param receiver pop3.Receiver|fun(number: integer|string, text?: string, err?: pop3.Error, digest?: string): any, any
---@param options? pop3.ManyOptions
---@return integer retrieved
---@return integer refused
function Connection:retr_many(numbers, receiver, options) end

---@param numbers (integer|string)[]
---@return integer deleted
---@return integer refused
---@return table<integer|string, pop3.Error> errors
function Connection:dele_many(numbers) end

---@return pop3.Listing
function Connection:listing() end

---@param options? {since?: table|pop3.Listing, order?: "oldest"|"newest", ahead?: number}
---@return pop3.Messages
function Connection:messages(options) end

function Connection:close() end

---@return table<string, string[]>
function Connection:capa() end

---What CAPA said: words by upper-case names, as capa(), and typed fields.
---@class pop3.Capabilities: {[string]: string[]}
---@field top? true
---@field uidl? true
---@field user? true
---@field stls? true
---@field pipelining? true
---@field resp_codes? true
---@field auth_resp_code? true
---@field lang? true
---@field utf8? true
---@field utf8_user? true UTF-8 in names and passwords, too
---@field sasl? table<string, true> mechanisms by upper-case names
---@field login_delay? integer seconds between two logins
---@field login_delay_user? true not the same for all users: the longest one
---@field expire? integer|"never" days that messages are kept
---@field expire_user? true not the same for all users: the shortest one
---@field implementation? string

---@return pop3.Capabilities
function Connection:capabilities() end

---@return string status
function Connection:utf8() end

---@param tag? string
---@return string status
---@return string[]? lines
---@return integer? octets
function Connection:lang(tag) end

---@return string status
function Connection:last() end

---@param context? pop3.Context|pop3.TlsOptions
---@return string status
function Connection:stls(context) end

---@param line string
---@param multiline? boolean
---@return string status
---@return string[]? lines
---@return integer? octets
function Connection:command(line, multiline) end

---@return {class: string, host: string, port: integer, domain?: string, address?: string, attempts?: integer, proxy?: string, unix_socket?: string, fd?: integer, closed: boolean, secure: boolean, tls?: {version: string, cipher: string, group?: string, alpn?: string, verified: boolean, resumed: boolean}}
function Connection:info() end

---@class pop3.Certificate
---@field subject string "CN=mail.example.org,O=Example"
---@field issuer string
---@field sans string[] "DNS:mail.example.org", "IP:192.0.2.1", "email:…"
---@field not_before? number seconds since 1970
---@field not_after? number seconds since 1970
---@field serial string hexadecimal
---@field key_type? string "RSA", "EC", "ED25519", or an OID
---@field key_bits? integer
---@field signature? string "ecdsa-with-SHA256"
---@field pin string "sha256//…"
---@field fingerprint string SHA-256, hexadecimal
---@field pem string

---@class pop3.TlsInfo
---@field version string "TLSv1.3"
---@field cipher string
---@field bits integer of the cipher's key
---@field group? string
---@field alpn? string
---@field servername? string as it was sent
---@field verified boolean
---@field verified_by string "chain+name", "chain+name+pin", "dane", "nothing", …
---@field resumed boolean
---@field chain pop3.Certificate[] as they were sent, the server's own first
---@field verified_chain? pop3.Certificate[] up to the root; nil when resumed

---@return pop3.TlsInfo? info nil in clear, when closed, by the transport's TLS
function Connection:tls_info() end

---@return string? session nil when there is nothing to resume (yet)
function Connection:session_export() end

---@return integer?
function Connection:fd() end

return pop3
