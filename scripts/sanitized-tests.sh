# Sourced: which tests run under which sanitizer. Parsers, door, server and engine: what meets strangers' bytes.
asan_tests=(base config bundle program_text program_recorder validator_check validator_door
  engine_model_engine engine_scheduler engine_wire engine_stop_matcher engine_property contract_device
  server_logic server_sockets)
tsan_tests=(engine_model_engine engine_set engine_property server_sockets)
