# Ruby's net-pop as a client of the benchmark; see bench/README.md.
require "json"
require "net/pop"
require "openssl"

verb = ARGV.shift
OPTIONS = ARGV.to_h { |word| word.split("=", 2) }
OUT = OPTIONS["out"] && File.open(OPTIONS["out"], "wb")

def cannot(why)
  warn why
  exit! 77
end

def session
  conn = Net::POP3.new("127.0.0.1", OPTIONS["port"].to_i)
  if OPTIONS["ca"]
    conn.enable_ssl(OpenSSL::SSL::VERIFY_PEER, OPTIONS["ca"])
  end
  conn.start("u", "p")
  yield conn
  conn.finish
end

def fetch
  cannot "QUIT waits" if OPTIONS["quit"]
  octets = 0
  take = proc do |text|
    octets += text.bytesize
    OUT&.write(text)
  end
  session do |conn|
    conn.each_mail do |mail|
      case OPTIONS["deliver"]
      when "callback" then mail.pop(&take)
      when "string" then take.call(mail.pop)
      else cannot "no such delivery"
      end
    end
  end
  { octets: octets }
end

def listing
  items = sum = 0
  session do |conn|
    conn.mails
    conn.set_all_uids
    if OPTIONS["as"] == "iterate"
      conn.each_mail do |mail|
        items += 1
        sum += mail.length
        mail.uidl
      end
    end
  end
  items > 0 ? { items: items, octets: sum } : {}
end

def sessions
  cannot "net-pop has no way to give a session" if OPTIONS["resume"]
  OPTIONS["sessions"].to_i.times { session(&:n_mails) }
  {}
end

def boxes
  times = []
  clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
  start = clock.call
  threads = Array.new(OPTIONS["boxes"].to_i) do
    Thread.new do
      session { |conn| conn.each_mail(&:pop) }
      times << (clock.call - start)
    end
  end
  threads.each(&:join)
  times.sort!
  { median_ms: times[times.size / 2] * 1000, slowest_ms: times.last * 1000 }
end

told = case verb
       when "start" then {}
       when "fetch" then fetch
       when "listing" then listing
       when "session" then sessions
       when "boxes" then boxes
       else cannot "no #{verb}"
       end
OUT&.close
puts JSON.generate(told)
