# What goes where. Lua's own default paths start at the prefix, so that a
# module installed under /usr/local is found without any setting.

if(NOT POP3_LUA STREQUAL "none")
  set(POP3_INSTALL_LUADIR ${CMAKE_INSTALL_DATADIR}/lua/${POP3_LUA_ABI}
    CACHE STRING "Where the Lua files go, below the prefix")
  set(POP3_INSTALL_CDIR ${CMAKE_INSTALL_LIBDIR}/lua/${POP3_LUA_ABI}
    CACHE STRING "Where the C module goes, below the prefix")
  install(DIRECTORY lua/ DESTINATION ${POP3_INSTALL_LUADIR}
    FILES_MATCHING PATTERN "*.lua")
  install(TARGETS core LIBRARY DESTINATION ${POP3_INSTALL_CDIR}/pop3)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/bin/pop3)
    install(PROGRAMS bin/pop3 DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endif()

# A header's path and those of the headers that it includes.
function(pop3_find_headers result header)
  set(found ${header})
  file(STRINGS ${header} lines REGEX "^#include \"")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE ".*\"(.*)\".*" "csrc/\\1" path ${line})
    pop3_find_headers(more ${path})
    list(APPEND found ${more})
  endforeach()
  list(REMOVE_DUPLICATES found)
  set(${result} ${found} PARENT_SCOPE)
endfunction()

# Static libraries, a layer each, with a pkg-config file that names what is
# below. All headers lie in one folder.
function(pop3_install_library target package header)
  if(NOT TARGET ${target})
    return()
  endif()
  pop3_find_headers(headers ${header})
  install(TARGETS ${target} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${headers} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/pop3)
  configure_file(cmake/${package}.pc.in ${package}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${package}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

if(POP3_STATIC)
  set(POP3_SYSTEM_LIBS "-pthread")
  foreach(name IN LISTS CMAKE_DL_LIBS)
    string(APPEND POP3_SYSTEM_LIBS " -l${name}")
  endforeach()
  pop3_install_library(pop3_engine pop3 csrc/pop3.h)
  pop3_install_library(pop3_client pop3-client csrc/conn.h)
  pop3_install_library(pop3_lua pop3-lua csrc/pop3_lua.h)
endif()

install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
