# Find the headers of the Lua that POP3_LUA names. On ELF a module must not be
# linked with liblua: the interpreter that loads it brings its own. On Windows
# it has to be, with the DLL that the interpreter uses, whatever that is called.

if(POP3_LUA STREQUAL "jit")
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(luajit REQUIRED luajit)
  set(POP3_LUA_INCLUDE_DIRS ${luajit_INCLUDE_DIRS})
  if(NOT POP3_LUA_INCLUDE_DIRS)
    pkg_get_variable(POP3_LUA_INCLUDE_DIRS luajit includedir)
  endif()
  set(POP3_LUA_ABI 5.1) # one module serves Lua 5.1 and LuaJIT
elseif(POP3_LUA MATCHES "^5\\.[1-5]$")
  find_package(Lua ${POP3_LUA} EXACT REQUIRED)
  set(POP3_LUA_INCLUDE_DIRS ${LUA_INCLUDE_DIR})
  set(POP3_LUA_ABI ${POP3_LUA})
else()
  message(FATAL_ERROR "POP3_LUA is 5.1 to 5.5, jit or none, not '${POP3_LUA}'")
endif()

set(POP3_LUA_LIBRARIES "")
if(WIN32)
  set(POP3_LUA_LIBRARIES ${LUA_LIBRARY})
endif()
if(APPLE)
  set(POP3_LUA_LIBRARIES -Wl,-undefined,dynamic_lookup)
endif()
