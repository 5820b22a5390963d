# How everything is compiled. The sources rely on none of it, because LuaRocks'
# builtin build passes no flags.

set(CMAKE_C_STANDARD 99)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # POSIX and Linux calls; the engine does without
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

function(pop3_compile_options target)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE
      -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
      -Wmissing-prototypes -Wcast-qual -Wvla
      $<$<BOOL:${POP3_WERROR}>:-Werror>)
  endif()
  if(POP3_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${POP3_SANITIZE} -fno-sanitize-recover=undefined
      -fno-omit-frame-pointer -g)
    target_link_options(${target} PUBLIC -fsanitize=${POP3_SANITIZE})
  endif()
endfunction()
