# The library and the program as products: libsio.so, libsio.a with none of our inner
# names in it, and everything that make install puts somewhere.
#
# The shared library has objects of its own: position-independent code costs the hot path
# of the static one nothing that way (docs/decisions/0016-shared-library.md).

# What the static library needs, by its pkg-config names.  libuv's own archive has a name
# of its own in some distributions: without it nobody could link with -static.
set(SIO_REQUIRES "libuv libssl libcrypto zlib hiredis")
if(LLHTTP_FOUND)
  string(APPEND SIO_REQUIRES " libllhttp")
endif()
pkg_check_modules(UV_STATIC QUIET libuv-static)
if(UV_STATIC_FOUND)
  string(REPLACE "libuv " "libuv-static " SIO_REQUIRES_STATIC "${SIO_REQUIRES}")
else()
  set(SIO_REQUIRES_STATIC "${SIO_REQUIRES}")
endif()

# ---- libsio.so -----------------------------------------------------------------------

add_library(sio_shared SHARED ${SIO_SOURCES} ${LLHTTP_SHARED_OBJECTS})
sio_settings(sio_shared)
set_target_properties(sio_shared PROPERTIES
  OUTPUT_NAME sio VERSION ${PROJECT_VERSION} SOVERSION 0
  LINK_DEPENDS ${CMAKE_SOURCE_DIR}/src/libsio.map)
target_link_options(sio_shared PRIVATE -Wl,--version-script=${CMAKE_SOURCE_DIR}/src/libsio.map
                                       -Wl,-z,defs -Wl,-z,now -Wl,--as-needed)

# ---- libsio.a -------------------------------------------------------------------------

# One object in which the names of our own functions are local: a program that has a
# map_put of its own must not get it called by the library.
set(SIO_STATIC ${CMAKE_BINARY_DIR}/libsio.a)
add_custom_command(OUTPUT ${SIO_STATIC}
  COMMAND ${CMAKE_LINKER} -r -o sio.o --whole-archive $<TARGET_FILE:sio>
  COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=sio_* sio.o
  COMMAND ${CMAKE_COMMAND} -E rm -f ${SIO_STATIC}
  COMMAND ${CMAKE_AR} rcs ${SIO_STATIC} sio.o
  DEPENDS sio WORKING_DIRECTORY ${CMAKE_BINARY_DIR} VERBATIM)
add_custom_target(sio_static ALL DEPENDS ${SIO_STATIC})

# ---- where it goes ---------------------------------------------------------------------

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(SIO_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
set(SIO_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/sio)
set(SIO_SONAME libsio.so.0)
set(SIO_SHARED_FILE libsio.so.${PROJECT_VERSION})
file(RELATIVE_PATH SIO_UP /${SIO_PC_DIR} /)
file(RELATIVE_PATH SIO_CMAKE_UP /${SIO_CMAKE_DIR} /)
string(REGEX REPLACE "/$" "" SIO_UP "${SIO_UP}")
string(REGEX REPLACE "/$" "" SIO_CMAKE_UP "${SIO_CMAKE_UP}")
configure_file(cmake/sio.pc.in sio.pc @ONLY)
configure_file(cmake/sio-config.cmake.in sio-config.cmake @ONLY)
write_basic_package_version_file(sio-config-version.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)

if(TARGET skybuild)
  install(TARGETS skybuild RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(TARGETS sio_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${SIO_STATIC} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/sio DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${CMAKE_BINARY_DIR}/sio.pc DESTINATION ${SIO_PC_DIR})
install(FILES ${CMAKE_BINARY_DIR}/sio-config.cmake ${CMAKE_BINARY_DIR}/sio-config-version.cmake
        DESTINATION ${SIO_CMAKE_DIR})
# Where the installed binary looks: the workspace (the plain page when it was not built), the pages of
# /docs, the stock browser client.
install(DIRECTORY web/docs DESTINATION ${CMAKE_INSTALL_DATADIR}/skybuild/web)
install(CODE "
  set(page \"${CMAKE_SOURCE_DIR}/build/web/page\")
  if(NOT EXISTS \"\${page}/index.html\")
    set(page \"${CMAKE_SOURCE_DIR}/web/page\")
  endif()
  file(INSTALL \"\${page}\" DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DATADIR}/skybuild/web\")")
install(DIRECTORY web/node_modules/socket.io-client/dist
        DESTINATION ${CMAKE_INSTALL_DATADIR}/skybuild/web/node_modules/socket.io-client OPTIONAL)

install(FILES web/node_modules/swagger-ui-dist/swagger-ui-bundle.js web/node_modules/swagger-ui-dist/swagger-ui.css
              web/node_modules/swagger-ui-dist/LICENSE web/node_modules/swagger-ui-dist/NOTICE
        DESTINATION ${CMAKE_INSTALL_DATADIR}/skybuild/web/node_modules/swagger-ui-dist OPTIONAL)

# Manual pages are made from the headers and from what the program says of itself.
set(SIO_MAN ${CMAKE_BINARY_DIR}/man)
install(CODE "
  file(REMOVE_RECURSE \"${SIO_MAN}\")
  execute_process(
    COMMAND python3 \"${CMAKE_SOURCE_DIR}/scripts/make-man\" --version ${PROJECT_VERSION}
            --program \"${CMAKE_BINARY_DIR}/skybuild\" -o \"${SIO_MAN}\"
    COMMAND_ERROR_IS_FATAL ANY)")
install(DIRECTORY ${SIO_MAN}/ DESTINATION ${CMAKE_INSTALL_MANDIR})
